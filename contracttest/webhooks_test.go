package contracttest

import (
	"strings"
	"testing"
)

func TestWebhook(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	a := c.call(t, "POST", "/api/webhooks", `{"url":"http://127.0.0.1:1/"}`)
	a.want(t, 201)
	w := a.object(t)
	id := text(w["id"])
	if got := a.header.Get("Location"); got != "webhooks/"+id {
		t.Errorf("Location: %q", got)
	}
	wantMembers(t, w, "id", "url", "description", "enabled", "event_types", "has_secret", "created_at", "updated_at",
		"headers", "timeout", "metadata", "authorization", "client_certificate",
		"filter", "transform", "order_by",
		"retry", "concurrency", "rate_limit", "disabled_reason",
		"secret_changed_at", "previous_secret_until", "source")
	wantUUID(t, w["id"])
	wantTime(t, w["created_at"])
	wantTime(t, w["updated_at"])
	if w["url"] != "http://127.0.0.1:1/" || w["enabled"] != true || w["has_secret"] != false || w["description"] != "" || quote(w["event_types"]) != `["*"]` ||
		quote(w["headers"]) != "{}" || quote(w["metadata"]) != "{}" || w["timeout"] != nil || w["authorization"] != nil || w["source"] != "api" || w["client_certificate"] != nil {
		t.Errorf("defaults: %v", w)
	}
	if got := c.must(t, 200, "GET", "/api/webhooks/"+id, ""); quote(got) != quote(w) {
		t.Errorf("GET is %v, POST was %v", got, w)
	}

	second := c.webhook(t, "http://127.0.0.1:1/b", `"secret":"s"`, `"enabled":false`, `"description":"für Ada 😀"`, `"event_types":["alert_active","group_created"]`)
	if second["enabled"] != false || second["has_secret"] != true || second["description"] != "für Ada 😀" || quote(second["event_types"]) != `["alert_active","group_created"]` {
		t.Errorf("with all members given: %v", second)
	}
	all := c.must(t, 200, "GET", "/api/webhooks", "")
	wantMembers(t, all, "data")
	if quote(all["data"]) != quote([]any{w, second}) {
		t.Errorf("list: %v", all)
	}

	if a := c.call(t, "DELETE", "/api/webhooks/"+id, ""); a.status != 204 || a.body != "" {
		t.Errorf("DELETE: %d %q", a.status, a.body)
	}
	for _, method := range []string{"GET", "DELETE"} {
		c.call(t, method, "/api/webhooks/"+id, "").want(t, 404)
	}
	if data := list(c.must(t, 200, "GET", "/api/webhooks", "")["data"]); len(data) != 1 || data[0]["id"] != second["id"] {
		t.Errorf("list after DELETE: %v", data)
	}
}

// TestTypesAddedLater configures one more event type after the webhooks were created.
func TestTypesAddedLater(t *testing.T) {
	t.Parallel()
	options := ownStore() + destinations("allow_http", "allow 127.0.0.0/8")
	r := receive(t, nil)
	first := start(t, options+"event_types first")
	before := first.mount("hooks", "Authorization", "Bearer "+adminToken)
	before.webhook(t, r.URL)
	before.webhook(t, r.URL, `"event_types":["first"]`)
	first.process.Kill()
	after := start(t, options+"event_types first second").mount("hooks", "Authorization", "Bearer "+adminToken)
	for eventType, want := range map[string]float64{"first": 2, "second": 1} {
		receipt := after.must(t, 202, "POST", "/api/events", `{"event_type":"`+eventType+`","data":{}}`)
		if number(receipt["deliveries"]) != want {
			t.Errorf("%s: %v", eventType, receipt)
		}
	}
}

func TestNoWebhooks(t *testing.T) {
	t.Parallel()
	if a := fast.admin().call(t, "GET", "/api/webhooks", ""); quote(a.object(t)) != `{"data":[]}` {
		t.Error(a.body)
	}
}

func TestPatchWebhook(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	created := c.webhook(t, "http://127.0.0.1:1/", `"secret":"s"`, `"description":"d"`)
	path := "/api/webhooks/" + text(created["id"])
	for _, test := range []struct {
		patch, member, want string
	}{
		{`{}`, "description", `"d"`},
		{`{"description":"e"}`, "description", `"e"`},
		{`{"enabled":false}`, "enabled", `false`},
		{`{"event_types":["alert_active"]}`, "event_types", `["alert_active"]`},
		{`{"url":"http://127.0.0.1:2/"}`, "url", `"http://127.0.0.1:2/"`},
		{`{"secret":null}`, "has_secret", `false`},
		{`{"secret":null}`, "has_secret", `false`},
		{`{"secret":"t"}`, "has_secret", `true`},
		{`{"retry":{"attempts":5,"delays":["90m"]}}`, "retry", `{"attempts":5,"delays":["1h30m"]}`},
		{`{"retry":{"delays":["0.5d","14m"]}}`, "retry", `{"delays":["12h","14m"]}`},
		{`{"retry":null}`, "retry", `null`},
		{`{"concurrency":7}`, "concurrency", `7`},
		{`{"concurrency":null}`, "concurrency", `null`},
		{`{"rate_limit":{"requests":7,"per":"60s"}}`, "rate_limit", `{"per":"1m","requests":7}`},
		{`{"rate_limit":{"requests":1,"per":"24h"}}`, "rate_limit", `{"per":"1d","requests":1}`},
		{`{"rate_limit":null}`, "rate_limit", `null`},
	} {
		for _, contentType := range []string{"application/json", "application/merge-patch+json", "application/json; charset=utf-8"} {
			t.Run(test.patch+" "+contentType, func(t *testing.T) {
				before := c.must(t, 200, "GET", path, "")
				w := c.with("Content-Type", contentType).must(t, 200, "PATCH", path, test.patch)
				if quote(w[test.member]) != test.want {
					t.Errorf("%s: %v", test.member, w[test.member])
				}
				if got := c.must(t, 200, "GET", path, ""); quote(got) != quote(w) {
					t.Errorf("GET is %v, PATCH was %v", got, w)
				}
				delete(before, test.member)
				delete(before, "updated_at")
				delete(before, "disabled_reason") // which goes with enabled
				if test.member == "has_secret" {
					delete(before, "secret_changed_at")
				}
				for name, value := range before {
					if quote(w[name]) != quote(value) {
						t.Errorf("%s changed from %v to %v", name, value, w[name])
					}
				}
			})
		}
	}
	if w := c.must(t, 200, "PATCH", path, `{"description":null}`); text(w["description"]) != "" {
		t.Errorf("description after null: %v", w["description"])
	}
	if w := c.must(t, 200, "GET", path, ""); !wantTime(t, w["updated_at"]).After(wantTime(t, w["created_at"])) {
		t.Errorf("updated_at: %v", w)
	}
}

// badMembers are members of a webhook that both POST and PATCH refuse.
var badMembers = []string{
	`"url":1`, `"url":null`, `"url":""`, `"url":"/hook"`, `"url":"//127.0.0.1/"`, `"url":"127.0.0.1"`,
	`"url":"https://"`, `"url":"https://℀.example/"`, `"url":"https://<host>/"`, `"url":"ftp://127.0.0.1/"`, `"url":"https:127.0.0.1"`, `"url":"http://127.0.0.1:99999/"`,
	`"url":"http://u@127.0.0.1/"`, `"url":"http://u:p@127.0.0.1/"`, `"url":"http://127.0.0.1/#f"`,
	`"url":"https://10.0.0.1/"`, `"url":"https://192.168.0.1/"`, `"url":"https://169.254.169.254/"`, `"url":"https://[::1]/"`,
	`"url":"https://0.0.0.0/"`, `"url":"https://224.0.0.1/"`, `"url":"https://[fe80::1]/"`, `"url":"https://[::ffff:10.0.0.1]/"`,
	`"url":"https://[64:ff9b::10.0.0.1]/"`, `"url":"https://168.63.129.16/"`, `"url":"https://[2a00:1450::5efe:10.0.0.1]/"`, `"url":"https://[fc00::1]/"`, `"url":"https://100.64.0.1/"`, `"url":"https://[::]/"`,
	`"url":"https://192.0.2.1/"`, `"url":"https://198.18.0.1/"`, `"url":"https://255.255.255.255/"`, `"url":"https://[2001:db8::1]/"`,
	`"event_types":[]`, `"event_types":null`, `"event_types":"*"`, `"event_types":[1]`, `"event_types":["nothing"]`,
	`"event_types":["alert_active",""]`, `"enabled":null`, `"enabled":"true"`, `"enabled":1`, `"secret":1`, `"description":1`,
	`"retry":3`, `"retry":{"attempts":0}`, `"retry":{"attempts":101}`, `"retry":{"delays":[]}`, `"retry":{"delays":["soon"]}`, `"retry":{"delays":["-1s"]}`,
	`"retry":{"delays":["1s"` + strings.Repeat(`,"1s"`, 30) + `]}`, `"retry":{"jitter":["60s","1s"]}`, `"retry":{"jitter":["1s"]}`, `"retry":{"delay":"1s"}`,
	`"concurrency":0`, `"concurrency":1001`, `"concurrency":"1"`, `"concurrency":1.5`,
	`"rate_limit":1`, `"rate_limit":{}`, `"rate_limit":{"requests":1}`, `"rate_limit":{"per":"1s"}`, `"rate_limit":{"requests":0,"per":"1s"}`,
	`"rate_limit":{"requests":100001,"per":"1s"}`, `"rate_limit":{"requests":1,"per":"0.9s"}`, `"rate_limit":{"requests":1,"per":"2d"}`,
	`"rate_limit":{"requests":1,"per":"1s","burst":1}`,
	`"nothing":1`, `"URL":"http://127.0.0.1/"`, `"Enabled":true`,
	`"id":"` + unknownID + `"`, `"has_secret":true`, `"disabled_reason":null`, `"source":"api"`, `"created_at":"2026-01-01T00:00:00Z"`, `"updated_at":"2026-01-01T00:00:00Z"`,
}

func TestBadWebhooks(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	created := c.webhook(t, "http://127.0.0.1:1/")
	path := "/api/webhooks/" + text(created["id"])
	for _, bad := range badMembers {
		t.Run(bad, func(t *testing.T) {
			body := "{" + bad + "}"
			if !strings.HasPrefix(bad, `"url"`) {
				body = `{"url":"http://127.0.0.1:1/",` + bad + "}"
			}
			for _, a := range []answer{
				c.call(t, "POST", "/api/webhooks", body),
				c.call(t, "PATCH", path, "{"+bad+"}"),
			} {
				a.want(t, 422)
				name := strings.Split(bad, `"`)[1]
				if field := text(list(a.object(t)["errors"])[0]["field"]); !strings.Contains(field, name) {
					t.Errorf("field is %q, want %s", field, name)
				}
			}
		})
	}
	for _, body := range []string{`{}`, `[]`, `null`, `"x"`, `[{"url":"http://127.0.0.1:1/"}]`} {
		t.Run(body, func(t *testing.T) { c.call(t, "POST", "/api/webhooks", body).want(t, 422) })
	}
	if all := c.must(t, 200, "GET", "/api/webhooks", ""); quote(all["data"]) != quote([]any{created}) {
		t.Errorf("refused calls have changed the webhooks: %v", all)
	}
}

func TestDefaultDestinations(t *testing.T) {
	t.Parallel()
	c := strict.admin()
	for _, url := range []string{"http://example.com/", "https://127.0.0.1/", "http://127.0.0.1/"} {
		t.Run(url, func(t *testing.T) { c.call(t, "POST", "/api/webhooks", `{"url":"`+url+`"}`).want(t, 422) })
	}
	if w := c.webhook(t, "https://example.com/a?b=c"); w["url"] != "https://example.com/a?b=c" {
		t.Errorf("%v", w)
	}
	// deny beats allow.
	slow.admin().call(t, "POST", "/api/webhooks", `{"url":"http://127.0.0.9/"}`).want(t, 422)
}

// TestNotJSON tries every call that has a body.
func TestNotJSON(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	one := "/api/webhooks/" + text(c.webhook(t, "http://127.0.0.1:1/")["id"])
	for _, call := range []struct{ method, path string }{
		{"POST", "/api/events"}, {"POST", "/api/webhooks"}, {"PATCH", one}, {"POST", one + "/test"},
	} {
		for _, body := range []string{" \n", "{", "{}{}", "{} x", `{"url":NaN}`, `{'url':1}`, `{"description":"` + "\xff" + `"}`, "\xef\xbb\xbf{}", `{"url":"x",}`, `{"url":01}`} {
			t.Run(call.method+" "+call.path+" "+body, func(t *testing.T) {
				c.call(t, call.method, call.path, body).want(t, 400)
			})
		}
		t.Run("415 "+call.path, func(t *testing.T) {
			for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/xml"} {
				c.with("Content-Type", contentType).call(t, call.method, call.path, "{}").want(t, 415)
			}
		})
	}
	for _, call := range []struct{ method, path string }{
		{"POST", "/api/events"}, {"POST", "/api/webhooks"}, {"PATCH", one},
	} {
		t.Run("empty "+call.path, func(t *testing.T) {
			c.with("Content-Type", "application/json").call(t, call.method, call.path, "").want(t, 400)
		})
	}
}

func TestUnknownQuery(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	w := "/api/webhooks/" + text(c.webhook(t, "http://127.0.0.1:1/")["id"])
	for _, call := range []struct{ method, path, body string }{
		{"POST", "/api/events", `{"event_type":"alert_active","data":{}}`},
		{"GET", "/api/events/" + unknownID, ""},
		{"GET", "/api/event-types", ""},
		{"GET", "/api/webhooks", ""},
		{"POST", "/api/webhooks", `{"url":"http://127.0.0.1:1/"}`},
		{"GET", w, ""},
		{"PATCH", w, "{}"},
		{"DELETE", w, ""},
		{"POST", w + "/test", "{}"},
		{"GET", "/api/requests", ""},
		{"GET", "/api/requests/" + unknownID, ""},
		{"POST", "/api/requests/" + unknownID + "/rerun", ""},
		{"GET", "/api/health", ""},
		{"GET", "/api/openapi.json", ""},
	} {
		t.Run(call.method+" "+call.path, func(t *testing.T) {
			c.call(t, call.method, call.path+"?nothing=1", call.body).want(t, 400)
		})
	}
}
