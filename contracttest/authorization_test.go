package contracttest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestAuthorization gives a webhook each kind of authorization in turn. What is secret begins with
// "hush", and comes to the endpoint alone.
func TestAuthorization(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	tokens := 0
	server := receive(t, func(n int, w http.ResponseWriter) {
		tokens = n
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"hush-token-%d","token_type":"bearer","expires_in":3600}`, n)
	})
	path := "/api/webhooks/" + text(c.webhook(t, r.URL, `"authorization":{"type":"bearer","token":"hush-first"}`)["id"])
	for i, kind := range []struct{ given, answered, header, sent, shown string }{
		{`{"type":"bearer","token":"hush-token"}`, `{"type":"bearer"}`, "Authorization", "Bearer hush-token", "Bearer ********"},
		{
			`{"type":"basic","username":"ann","password":"hush-password"}`, `{"type":"basic","username":"ann"}`,
			"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:hush-password")), "Basic ********",
		},
		{`{"type":"header","name":"X-Api-Key","value":"hush-key"}`, `{"name":"X-Api-Key","type":"header"}`, "X-Api-Key", "hush-key", "********"},
		{
			`{"type":"oauth2","token_url":` + quote(server.URL+"/token") + `,"client_id":"me","client_secret":"hush-client","scope":"a"}`,
			`{"client_id":"me","scope":"a","token_url":` + quote(server.URL+"/token") + `,"type":"oauth2"}`, "Authorization", "Bearer hush-token-1", "Bearer ********",
		},
		{`null`, `null`, "Authorization", "", ""},
	} {
		a := c.call(t, "PATCH", path, `{"authorization":`+kind.given+`}`)
		a.want(t, 200)
		if got := quote(a.object(t)["authorization"]); got != kind.answered {
			t.Errorf("%s is answered with %s", kind.given, got)
		}
		c.must(t, 200, "PATCH", path, `{"description":"`+fmt.Sprint(i)+`"}`) // leaves it as it is
		row := c.call(t, "POST", path+"/test", "{}")
		row.want(t, 200)
		if got := r.await(t, i+1)[i].header.Get(kind.header); got != kind.sent {
			t.Errorf("%s is sent as %q", kind.given, got)
		}
		sent, _ := row.object(t)["request_headers"].(object)
		if text(sent[kind.header]) != kind.shown && kind.shown != "" {
			t.Errorf("%s is shown as %v", kind.given, sent)
		}
		for _, said := range []string{a.body, row.body, c.call(t, "GET", "/api/webhooks", "").body, c.call(t, "GET", "/api/audit", "").body} {
			if strings.Contains(said, "hush") {
				t.Errorf("%s comes out in %s", kind.given, said)
			}
		}
	}
	if tokens != 1 {
		t.Errorf("%d tokens were fetched", tokens)
	}
	for _, value := range []string{
		`{}`, `[]`, `"Bearer x"`, `{"type":null}`, `{"type":"digest"}`, `{"type":"bearer"}`, `{"type":"bearer","token":""}`, `{"type":"bearer","token":1}`,
		`{"type":"bearer","token":"a\nb"}`, `{"type":"bearer","token":"a","name":"X"}`, `{"type":"basic","username":"a"}`, `{"type":"basic","username":"a:b","password":"c"}`,
		`{"type":"header","name":"Host","value":"a"}`, `{"type":"header","name":"webhook-id","value":"a"}`, `{"type":"header","name":"X","value":" a"}`,
		`{"type":"oauth2","token_url":"https://10.0.0.1/","client_id":"a","client_secret":"b"}`, `{"type":"oauth2","token_url":"nonsense","client_id":"a","client_secret":"b"}`,
		`{"type":"oauth2","client_id":"a","client_secret":"b"}`, `{"type":"bearer","token":"a","extra":1}`,
	} {
		wantRefused(t, c, path, "authorization", value)
	}
	wantRefused(t, c, path, "authorization", `{"type":"header","name":"X-A","value":"a"},"headers":{"x-a":"b"}`)
}

// TestTokenServerFails has a token server that refuses, and repeats the secret.
func TestTokenServerFails(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	server := receive(t, func(_ int, w http.ResponseWriter) {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"error":"invalid_client","error_description":"not with hush-client"}`)
	})
	w := c.webhook(t, r.URL, `"authorization":{"type":"oauth2","token_url":`+quote(server.URL)+`,"client_id":"me","client_secret":"hush-client"}`)
	event := c.emit(t)
	for _, row := range c.awaitRequests(t, "?event_id="+text(event["event_id"]), 3) {
		detail := c.request(t, row)
		if want := "no access token came from the token server: it answered 401 Unauthorized (invalid_client)"; detail["error"] != want || detail["status_code"] != nil {
			t.Errorf("the request is %v", detail)
		}
		if strings.Contains(quote(detail), "hush") {
			t.Errorf("the secret comes out in %v", detail)
		}
	}
	if got := r.received(); len(got) != 0 {
		t.Errorf("%s got %v without a token", w["url"], got)
	}
}
