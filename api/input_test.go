package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

const okEvent = `{"event_type":"group_created","data":{}}`

var largeEvent = `{"event_type":"group_created","data":{"x":"` + strings.Repeat("x", 1024) + `"}}`

func manyEvents(n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(okEvent+",", n), ",") + "]"
}

// eventInputs are bodies of emits, of which one may have 1 KiB, with their statuses and the fields
// that are named.
var eventInputs = []struct {
	name, body string
	want       int
	fields     string
}{
	{"object", okEvent, 202, ""},
	{"space around", " \n" + okEvent + "\t\r\n", 202, ""},
	{"array of one", "[" + okEvent + "]", 202, ""},
	{"array of 1000", manyEvents(1000), 202, ""},
	{"all", `{"event_type":"group_created","event_id":"` + noID + `","occurred_at":"2026-03-13T18:30:00Z","data":{"a":null}}`, 202, ""},
	{"unicode", `{"event_type":"group_created","data":{"ü":"\u00fc 😀"}}`, 202, ""},

	{"empty", "", 415, ""},
	{"only space", " \n", 400, ""},
	{"not JSON", "hello", 400, ""},
	{"cut off", okEvent[:20], 400, ""},
	{"something behind", okEvent + "x", 400, ""},
	{"two objects", okEvent + okEvent, 400, ""},
	{"something behind an array", "[" + okEvent + "] x", 400, ""},
	{"comma too many", "[" + okEvent + ",]", 400, "1"},
	{"not UTF-8", "{\"event_type\":\"group_created\",\"data\":{\"x\":\"\xff\"}}", 400, ""},
	{"lone surrogate", `{"event_type":"group_created","data":{"x":"\ud800"}}`, 400, "data.x"},
	{"comment", okEvent + "// x", 400, ""},
	{"invalid and not JSON", `[{"event_type":1},{]`, 400, ""},
	{"not JSON after a duplicate", `{"data":{},"data":{},`, 400, ""},

	{"string", `"group_created"`, 422, ""},
	{"number", `1`, 422, ""},
	{"null", `null`, 422, ""},
	{"empty array", `[]`, 422, ""},
	{"1001", manyEvents(1001), 422, ""},
	{"array in array", `[[]]`, 422, "0"},
	{"array of null", `[null]`, 422, "0.event_type 0.data"},
	{"empty object", `{}`, 422, "event_type data"},
	{"no data", `{"event_type":"group_created"}`, 422, "data"},
	{"no type", `{"data":{}}`, 422, "event_type"},
	{"null data", `{"event_type":"group_created","data":null}`, 422, "data"},
	{"array data", `{"event_type":"group_created","data":[]}`, 422, "data"},
	{"string data", `{"event_type":"group_created","data":"{}"}`, 422, "data"},
	{"unknown type", `{"event_type":"other","data":{}}`, 422, "event_type"},
	{"all types", `{"event_type":"*","data":{}}`, 422, "event_type"},
	{"type is a number", `{"event_type":1,"data":{}}`, 422, "event_type"},
	{"type is null", `{"event_type":null,"data":{}}`, 422, "event_type"},
	{"unknown member", `{"event_type":"group_created","data":{},"tenant":"x"}`, 422, "tenant"},
	{"other case", `{"Event_Type":"group_created","data":{}}`, 422, "Event_Type"},
	{"duplicate member", `{"event_type":"group_created","event_type":"group_created","data":{}}`, 422, "event_type"},
	{"duplicate within data", `{"event_type":"group_created","data":{"a":{"b":1,"b":2}}}`, 422, "data.a.b"},
	{"id is short", `{"event_type":"group_created","event_id":"0190a1b2c3d47e5f8a9b0c1d2e3f4a5b","data":{}}`, 422, "event_id"},
	{"id is nil", `{"event_type":"group_created","event_id":"00000000-0000-0000-0000-000000000000","data":{}}`, 422, "event_id"},
	{"id is null", `{"event_type":"group_created","event_id":null,"data":{}}`, 422, "event_id"},
	{"time is a date", `{"event_type":"group_created","occurred_at":"2026-03-13","data":{}}`, 422, "occurred_at"},
	{"time is a number", `{"event_type":"group_created","occurred_at":1773426600,"data":{}}`, 422, "occurred_at"},
	{"second of two", `[` + okEvent + `,{"event_type":"group_created","event_id":"x","data":{}}]`, 422, "1.event_id"},
	{"several", `{"event_type":"other","event_id":"x","occurred_at":"x","data":1}`, 422, "event_type data event_id occurred_at"},

	{"large object", largeEvent, 413, ""},
	{"large by space", okEvent + strings.Repeat(" ", 1024), 413, ""},
	{"large element", "[" + okEvent + "," + largeEvent + "]", 413, "1"},
	{"large element and invalid", `[{"event_type":1},` + largeEvent + `]`, 413, ""},
	{"large element and not JSON", "[" + largeEvent + ",", 413, ""},
	{"space between", "[" + okEvent + "," + strings.Repeat(" ", 2048) + okEvent + "]", 202, ""},
	{"large array", "[" + strings.Repeat(" ", 16<<20) + "]", 413, ""},
}

func TestEventInput(t *testing.T) {
	c := newConfig()
	c.maxEvent = 1024
	s := start(t, c)
	for _, tc := range eventInputs {
		t.Run(tc.name, func(t *testing.T) {
			got := s.emit(tc.body)
			if tc.want == 202 {
				got.want(t, 202, nil)
				return
			}
			if fields := got.wantProblem(t, tc.want).fields(); tc.fields != "" && fields != tc.fields {
				t.Errorf("fields are %q", fields)
			}
		})
	}
}

// TestChunked sends a body whose length nobody knows before.
func TestChunked(t *testing.T) {
	s := start(t, newConfig())
	for size, want := range map[int]int{10: 202, 17 << 20: 413} {
		body := "[" + strings.Repeat(" ", size) + `{"event_type":"group_created","data":{}}]`
		if got := s.chunked("events", body, "Authorization", asEmitter, "Content-Type", "application/json"); got != want {
			t.Errorf("%d bytes: %d", size, got)
		}
	}
	// A body of unknown length may turn out to be none.
	for path, want := range map[string]int{"requests/" + noID + "/rerun": 404, "webhooks/" + noID + "/test": 404, "webhooks": 415} {
		for body, want := range map[string]int{"": want, "{}": 415} {
			if got := s.chunked(path, body, "Authorization", asAdmin); got != want {
				t.Errorf("%s with %q: %d", path, body, got)
			}
		}
	}
}

// chunked makes a POST whose length is not announced, and gives the status.
func (s *site) chunked(path, body string, headers ...string) int {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.url+"/hooks/api/"+path, struct{ io.Reader }{strings.NewReader(body)})
	if err != nil {
		s.t.Fatal(err)
	}
	req.TransferEncoding = []string{"chunked"}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// webhookInputs are members of webhooks, with their statuses and the fields that are named.
var webhookInputs = []struct {
	name, members string
	want          int // of a PATCH; POST with a URL gives 201 for 200
	fields        string
}{
	{"nothing", ``, 200, ""},
	{"all", `"secret":"s","enabled":false,"event_types":["group_created","group_deleted"],"description":"d"`, 200, ""},
	{"all types", `"event_types":["*"]`, 200, ""},
	{"repeated type", `"event_types":["group_created","group_created"]`, 200, ""},
	{"no secret", `"secret":null`, 200, ""},
	{"no description", `"description":null`, 200, ""},
	{"long", `"secret":` + quote(strings.Repeat("s", 1024)) + `,"description":` + quote(strings.Repeat("ü", 1000)), 200, ""},
	{"empty secret", `"secret":""`, 422, "secret"},
	{"too long", `"secret":` + quote(strings.Repeat("s", 1025)) + `,"description":` + quote(strings.Repeat("ü", 1001)), 422, "secret description"},
	{"secret is a number", `"secret":12345`, 422, "secret"},
	{"enabled is a string", `"enabled":"true"`, 422, "enabled"},
	{"enabled is null", `"enabled":null`, 422, "enabled"},
	{"types are null", `"event_types":null`, 422, "event_types"},
	{"types are a string", `"event_types":"*"`, 422, "event_types"},
	{"no types", `"event_types":[]`, 422, "event_types"},
	{"unknown type", `"event_types":["group_created","other"]`, 422, "event_types.1"},
	{"type is null", `"event_types":[null]`, 422, "event_types.0"},
	{"type is a number", `"event_types":[1]`, 422, "event_types.0"},
	{"* among others", `"event_types":["*","group_created"]`, 422, "event_types"},
	{"concurrency", `"concurrency":1000`, 200, ""},
	{"concurrency of the configuration", `"concurrency":null`, 200, ""},
	{"no concurrency", `"concurrency":0`, 422, "concurrency"},
	{"too much concurrency", `"concurrency":1001`, 422, "concurrency"},
	{"concurrency is a text", `"concurrency":"1"`, 422, "concurrency"},
	{"rate", `"rate_limit":{"requests":100000,"per":"1s"}`, 200, ""},
	{"slow rate", `"rate_limit":{"requests":1,"per":"1d"}`, 200, ""},
	{"no rate", `"rate_limit":null`, 200, ""},
	{"rate of nothing", `"rate_limit":{}`, 422, "rate_limit.requests rate_limit.per"},
	{"rate of nulls", `"rate_limit":{"requests":null,"per":null}`, 422, "rate_limit.requests rate_limit.per"},
	{"rate without a time", `"rate_limit":{"requests":1}`, 422, "rate_limit.per"},
	{"rate without a number", `"rate_limit":{"per":"1s"}`, 422, "rate_limit.requests"},
	{"rate of no requests", `"rate_limit":{"requests":0,"per":"1s"}`, 422, "rate_limit.requests"},
	{"rate of too many", `"rate_limit":{"requests":100001,"per":"1s"}`, 422, "rate_limit.requests"},
	{"rate of half a request", `"rate_limit":{"requests":0.5,"per":"1s"}`, 422, "rate_limit.requests"},
	{"rate for a short time", `"rate_limit":{"requests":1,"per":"999ms"}`, 422, "rate_limit.per"},
	{"rate for a long time", `"rate_limit":{"requests":1,"per":"25h"}`, 422, "rate_limit.per"},
	{"rate for no whole milliseconds", `"rate_limit":{"requests":1,"per":"1.0005s"}`, 422, "rate_limit.per"},
	{"rate for no time", `"rate_limit":{"requests":1,"per":"second"}`, 422, "rate_limit.per"},
	{"rate for a number", `"rate_limit":{"requests":1,"per":1}`, 422, "rate_limit.per"},
	{"rate is a number", `"rate_limit":10`, 422, "rate_limit"},
	{"rate has another member", `"rate_limit":{"requests":1,"per":"1s","burst":5}`, 422, "rate_limit.burst"},
	{"retry", `"retry":{"attempts":100,"delays":["5s","1h30m","7d"],"jitter":["0s","7d"]}`, 200, ""},
	{"retry with 30 delays", `"retry":{"delays":["1s"` + strings.Repeat(`,"1s"`, 29) + `]}`, 200, ""},
	{"retry of the configuration", `"retry":null`, 200, ""},
	{"retry with nothing", `"retry":{}`, 200, ""},
	{"retry with nulls", `"retry":{"attempts":null,"delays":null,"jitter":null}`, 200, ""},
	{"retry is a number", `"retry":3`, 422, "retry"},
	{"retry has another member", `"retry":{"delay":"5s"}`, 422, "retry.delay"},
	{"no attempts", `"retry":{"attempts":0}`, 422, "retry.attempts"},
	{"101 attempts", `"retry":{"attempts":101}`, 422, "retry.attempts"},
	{"part of an attempt", `"retry":{"attempts":1.5}`, 422, "retry.attempts"},
	{"attempts are a text", `"retry":{"attempts":"3"}`, 422, "retry.attempts"},
	{"no delays", `"retry":{"delays":[]}`, 422, "retry.delays"},
	{"31 delays", `"retry":{"delays":["1s"` + strings.Repeat(`,"1s"`, 30) + `]}`, 422, "retry.delays"},
	{"delays are a text", `"retry":{"delays":"5s"}`, 422, "retry.delays"},
	{"delays are no durations", `"retry":{"delays":["5s","soon","5",null]}`, 422, "retry.delays.1 retry.delays.2 retry.delays.3"},
	{"delay is a number", `"retry":{"delays":[5]}`, 422, "retry.delays.0"},
	{"delays are out of bounds", `"retry":{"delays":["8d","-1s"]}`, 422, "retry.delays.0 retry.delays.1"},
	{"one end of jitter", `"retry":{"jitter":["1s"]}`, 422, "retry.jitter"},
	{"jitter backwards", `"retry":{"jitter":["2s","1s"]}`, 422, "retry.jitter"},
	{"jitter is out of bounds", `"retry":{"jitter":["0s","8d"]}`, 422, "retry.jitter.1"},
	{"id", `"id":"` + noID + `"`, 422, "id"},
	{"has_secret", `"has_secret":true`, 422, "has_secret"},
	{"created_at", `"created_at":"2026-03-13T18:30:00Z"`, 422, "created_at"},
	{"unknown", `"nothing":{}`, 422, "nothing"},
	{"headers", `"headers":{"X-A":"a"},"metadata":{"a":"b"}`, 200, ""},
	{"timeout", `"timeout":"1.5s"`, 200, ""},
	{"no timeout", `"timeout":null`, 200, ""},
	{"timeout is a number", `"timeout":5`, 422, "timeout"},
	{"timeout is short", `"timeout":"999ms"`, 422, "timeout"},
	{"timeout is long", `"timeout":"61s"`, 422, "timeout"},
	{"timeout is none", `"timeout":"soon"`, 422, "timeout"},
	{"bearer", `"authorization":{"type":"bearer","token":"hush"}`, 200, ""},
	{"basic", `"authorization":{"type":"basic","username":"","password":"","token":null}`, 200, ""},
	{"credential in a header", `"authorization":{"type":"header","name":"Authorization","value":"hush"}`, 200, ""},
	{"oauth2", `"authorization":{"type":"oauth2","token_url":"https://example.com/","client_id":"a","client_secret":"hush","scope":"a b"}`, 200, ""},
	{"no authorization", `"authorization":null`, 200, ""},
	{"authorization of no type", `"authorization":{"token":"hush"}`, 422, "authorization.type"},
	{"authorization of another type", `"authorization":{"type":"digest"}`, 422, "authorization.type"},
	{"authorization is a text", `"authorization":"Bearer hush"`, 422, "authorization"},
	{"bearer without token", `"authorization":{"type":"bearer"}`, 422, "authorization.token"},
	{"bearer with line break", `"authorization":{"type":"bearer","token":"hush\nhush"}`, 422, "authorization.token"},
	{"bearer with password", `"authorization":{"type":"bearer","token":"hush","password":"hush"}`, 422, "authorization.password"},
	{"colon", `"authorization":{"type":"basic","username":"a:b","password":"hush"}`, 422, "authorization.username"},
	{"other header", `"authorization":{"type":"header","name":"Host","value":""}`, 422, "authorization.name authorization.value"},
	{"token_url", `"authorization":{"type":"oauth2","token_url":"https://10.0.0.1/","client_id":"a","client_secret":"hush"}`, 422, "authorization.token_url"},
	{"unknown in authorization", `"authorization":{"type":"bearer","token":"hush","tokens":"hush"}`, 422, "authorization.tokens"},
	{"no header", `"headers":{"Host":"a"}`, 422, "headers.Host"},
	{"other case", `"Enabled":true`, 422, "Enabled"},
	{"duplicate", `"secret":"hush","secret":"hush"`, 422, "secret"},
}

func TestWebhookInput(t *testing.T) {
	s := start(t, newConfig())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/","secret":"old"}`).want(t, 201, &hook)
	for _, tc := range webhookInputs {
		t.Run(tc.name, func(t *testing.T) {
			created := `{"url":"https://example.com/"}`
			if tc.members != "" {
				created = `{"url":"https://example.com/",` + tc.members + `}`
			}
			for method, got := range map[string]reply{
				"PATCH": s.admin("PATCH", "api/webhooks/"+hook.ID, "{"+tc.members+"}"),
				"POST":  s.admin("POST", "api/webhooks", created),
			} {
				if bytes.Contains(got.body, []byte("hush")) || bytes.Contains(got.body, []byte("12345")) {
					t.Errorf("%s: a secret in %s", method, got.body)
				}
				switch {
				case tc.want == 200 && method == "POST":
					got.want(t, 201, nil)
				case tc.want == 200:
					got.want(t, 200, nil)
				default:
					if fields := got.wantProblem(t, tc.want).fields(); fields != tc.fields {
						t.Errorf("%s: fields are %q", method, fields)
					}
				}
			}
		})
	}
	for _, url := range []string{
		`""`, `1`, `null`, `"/relative"`, `"example.com"`, `"http://example.com/"`, `"ftp://example.com/"`, `"https://user@example.com/"`,
		`"https://example.com/#x"`, `"https://"`, `"https://127.0.0.1/"`, `"https://[::1]/"`, `"https://169.254.169.254/"`,
		`"https://localhost/"`, `"https://10.0.0.1/"`, `"https://exa mple.com/"`, `"https://example.com:0/"`, `"https://[::ffff:10.0.0.1]/"`,
	} {
		if got := s.admin("POST", "api/webhooks", `{"url":`+url+`}`).wantProblem(t, 422).fields(); got != "url" {
			t.Errorf("%s: fields are %q", url, got)
		}
		s.admin("PATCH", "api/webhooks/"+hook.ID, `{"url":`+url+`}`).wantProblem(t, 422)
	}
	for _, body := range []string{`[]`, `"x"`, `1`} {
		s.admin("PATCH", "api/webhooks/"+hook.ID, body).wantProblem(t, 422)
	}
	s.admin("POST", "api/webhooks", `{}`).wantProblem(t, 422)
	s.admin("POST", "api/webhooks", "", "Content-Type", "application/json").wantProblem(t, 400)
	s.admin("POST", "api/webhooks/"+hook.ID+"/test", "", "Content-Type", "application/json").wantProblem(t, 400)
	s.admin("POST", "api/webhooks/"+hook.ID+"/test", `{"event_type":"other"}`).wantProblem(t, 422)
	s.admin("POST", "api/webhooks/"+hook.ID+"/test", `{"event_type":null}`).wantProblem(t, 422)
	s.admin("POST", "api/webhooks/"+hook.ID+"/test", `{"data":{}}`).wantProblem(t, 422)
}

// TestRerunBody sends bodies with a re-run, which takes none or one that says
// nothing.
func TestRerunBody(t *testing.T) {
	s := start(t, newConfig())
	path := "api/requests/" + noID + "/rerun"
	for _, c := range []struct {
		body, mediaType string
		status          int
	}{
		{"", "application/json", 404},
		{"", "application/x-www-form-urlencoded", 404}, // as curl -d "" does
		{"{}", "application/json", 404},
		{"{}", "text/plain", 415},
		{" ", "application/json", 400},
		{"{", "application/json", 400},
		{`{"event_type":"group_created"}`, "application/json", 422},
		{"[]", "application/json", 422},
		{"null", "application/json", 422},
	} {
		if got := s.admin("POST", path, c.body, "Content-Type", c.mediaType); got.status != c.status {
			t.Errorf("%q as %s: got %d, want %d: %s", c.body, c.mediaType, got.status, c.status, got.body)
		}
	}
}

// TestNullBody sends null where an object belongs: it is not taken for one
// without members.
func TestNullBody(t *testing.T) {
	s := start(t, newConfig())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`).want(t, 201, &hook)
	for _, call := range [][2]string{
		{"POST", "api/events"},
		{"POST", "api/webhooks"},
		{"PATCH", "api/webhooks/" + hook.ID},
		{"POST", "api/webhooks/" + hook.ID + "/test"},
	} {
		p := s.admin(call[0], call[1], `null`).wantProblem(t, 422)
		if len(p.Errors) != 1 || p.Errors[0].Detail != "This must be an object." {
			t.Errorf("%s %s: %+v", call[0], call[1], p.Errors)
		}
	}
}
