package contracttest

import (
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// patched is a webhook after one PATCH after the other, each of which must give a member a value.
func patched(t *testing.T, c client, path, member string, steps [][2]string) {
	t.Helper()
	for _, step := range steps {
		w := c.must(t, 200, "PATCH", path, `{"`+member+`":`+step[0]+`}`)
		if got := quote(w[member]); got != step[1] {
			t.Errorf("%s after %s is %s, want %s", member, step[0], got, step[1])
		}
		if got := c.must(t, 200, "GET", path, ""); quote(got) != quote(w) {
			t.Errorf("GET is %v, PATCH was %v", got, w)
		}
	}
}

// wantRefused has a member refused with 422 that names it, by POST and PATCH.
func wantRefused(t *testing.T, c client, path, member, value string) {
	t.Helper()
	body := `"` + member + `":` + value + `}`
	for _, a := range []answer{c.call(t, "POST", "/api/webhooks", `{"url":"http://127.0.0.1:1/",`+body), c.call(t, "PATCH", path, "{"+body)} {
		if a.status != 422 {
			t.Errorf("%d for %s %s", a.status, member, value)
			continue
		}
		a.wantProblem(t)
		if field := text(list(a.object(t)["errors"])[0]["field"]); !strings.HasPrefix(field, member) {
			t.Errorf("field is %q for %s %s", field, member, value)
		}
	}
}

// manyTexts are n texts, whose names begin with a prefix.
func manyTexts(prefix string, n int) object {
	texts := make(object)
	for i := range n {
		texts[prefix+strconv.Itoa(i)] = ""
	}
	return texts
}

func TestWebhookTexts(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	for _, member := range []string{"headers", "metadata"} {
		w := c.webhook(t, "http://127.0.0.1:1/", `"`+member+`":{"X-A":"a","X-None":null}`)
		if quote(w[member]) != `{"X-A":"a"}` {
			t.Errorf("%s: %v", member, w[member])
		}
		path := "/api/webhooks/" + text(w["id"])
		nineteen := manyTexts("X-", 19)
		twenty := maps.Clone(nineteen)
		twenty["X-B"] = ""
		patched(t, c, path, member, [][2]string{
			{`{}`, `{"X-A":"a"}`},
			{`{"X-B":"b"}`, `{"X-A":"a","X-B":"b"}`},
			{`{"X-A":null,"X-B":"","X-C":null}`, `{"X-B":""}`},
			{quote(nineteen), quote(twenty)},
		})
		wantRefused(t, c, path, member, quote(manyTexts("Y-", 21)))
		wantRefused(t, c, path, member, `{"X-B":"`+strings.Repeat("x", 4096)+`"}`)
		c.call(t, "PATCH", path, `{"`+member+`":{"X-One-More":""}}`).want(t, 422)
		patched(t, c, path, member, [][2]string{{`{"X-B":null}`, quote(nineteen)}, {`null`, `{}`}, {`null`, `{}`}})
		for _, value := range []string{`[]`, `"X-A: a"`, `1`, `{"X-A":1}`, `{"X-A":["a"]}`, `{"X-A":{"b":"c"}}`, `{"":"a"}`, `{"X-A":"a","X-A":"b"}`} {
			wantRefused(t, c, path, member, value)
		}
	}
}

func TestWebhookHeaders(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, status(500, 200))
	w := c.webhook(t, r.URL, `"secret":"s"`, `"headers":{"X-Site":"Zürich","x-lower":"1","X-Gone":"x"}`, `"metadata":{"X-Mine":"m"}`)
	path := "/api/webhooks/" + text(w["id"])
	c.must(t, 200, "PATCH", path, `{"headers":{"X-Gone":null}}`)
	event := c.emit(t)
	for _, got := range r.await(t, 2) {
		if got.header.Get("X-Site") != "Zürich" || got.header.Get("X-Lower") != "1" || got.header.Get("X-Gone") != "" || got.header.Get("X-Mine") != "" ||
			got.header.Get("Content-Type") != "application/json" || got.header.Get("X-Level-Signature") == "" {
			t.Errorf("sent were %v", got.header)
		}
	}
	rows := c.awaitRequests(t, "?event_id="+text(event["event_id"]), 2)
	for _, row := range []object{
		c.must(t, 200, "GET", "/api/requests/"+text(rows[0]["id"]), ""),
		c.must(t, 200, "POST", "/api/requests/"+text(rows[0]["id"])+"/rerun", ""),
		c.must(t, 200, "POST", path+"/test", "{}"),
	} {
		sent, _ := row["request_headers"].(object)
		if sent["X-Site"] != "Zürich" || sent["x-lower"] != "1" || sent["X-Gone"] != nil {
			t.Errorf("sent, as the API has it, were %v", sent)
		}
	}
	for _, name := range []string{
		"Host", "host", "Content-Type", "Content-Length", "content-anything", "User-Agent", "Authorization",
		"Connection", "Keep-Alive", "Proxy-Authorization", "TE", "Trailer", "Upgrade", "Transfer-Encoding",
		"X-Level-Signature", "x-level-signature", "X-Level-Signature-Previous", "Webhook-Id", "webhook-anything",
		"no token", "Ü", "X:",
	} {
		wantRefused(t, c, path, "headers", `{"`+name+`":"x"}`)
		c.must(t, 200, "PATCH", path, `{"headers":{"`+name+`":null}}`)
	}
	for _, value := range []string{`a\nb`, `a\r`, `\u0000`, `a\tb`, ` a`, `a `} {
		wantRefused(t, c, path, "headers", `{"X-A":"`+value+`"}`)
	}
	wantRefused(t, c, path, "headers", `{"X-Same":"a","x-same":"b"}`)
	c.call(t, "PATCH", path, `{"headers":{"X-LOWER":"b"}}`).want(t, 422)
	if got := c.must(t, 200, "GET", path, "")["headers"]; quote(got) != `{"X-Site":"Zürich","x-lower":"1"}` {
		t.Errorf("the headers are %v", got)
	}
}

func TestWebhookTimeout(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, status(200))
	w := c.webhook(t, r.URL, `"timeout":"1m"`)
	path := "/api/webhooks/" + text(w["id"])
	if w["timeout"] != "1m" {
		t.Errorf("timeout is %v", w["timeout"])
	}
	patched(t, c, path, "timeout", [][2]string{{`"1s"`, `"1s"`}, {`"60s"`, `"1m"`}, {`"0.5m"`, `"30s"`}, {`null`, `null`}, {`"1500ms"`, `"1.5s"`}})
	for _, value := range []string{`"0s"`, `"999ms"`, `"1m1s"`, `"-5s"`, `"5"`, `"five"`, `""`, `5`, `true`, `["5s"]`, `{}`} {
		wantRefused(t, c, path, "timeout", value)
	}

	// An endpoint that never answers fails by the webhook's own timeout.
	release := make(chan struct{})
	defer close(release)
	silent := receive(t, func(int, http.ResponseWriter) { <-release })
	c.must(t, 200, "PATCH", path, `{"timeout":"1s","url":`+quote(silent.URL)+`}`)
	if row := c.must(t, 200, "POST", path+"/test", "{}"); !strings.Contains(text(row["error"]), "within 1s") {
		t.Errorf("error is %v", row["error"])
	}
}
