package contracttest

import (
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestTenants(t *testing.T) {
	t.Parallel()
	c, other := fast.admin(), fast.admin()
	r := receive(t, nil)
	w := c.webhook(t, r.URL)
	if receipt := other.emit(t); number(receipt["deliveries"]) != 0 {
		t.Errorf("another tenant's event: %v", receipt)
	}
	event := c.emit(t)
	q := c.awaitRequests(t, "", 1)[0]
	for _, call := range []struct{ method, path, body string }{
		{"GET", "/api/webhooks/" + text(w["id"]), ""},
		{"PATCH", "/api/webhooks/" + text(w["id"]), `{"enabled":false}`},
		{"DELETE", "/api/webhooks/" + text(w["id"]), ""},
		{"POST", "/api/webhooks/" + text(w["id"]) + "/test", "{}"},
		{"GET", "/api/events/" + text(event["event_id"]), ""},
		{"GET", "/api/requests/" + text(q["id"]), ""},
		{"POST", "/api/requests/" + text(q["id"]) + "/rerun", ""},
	} {
		t.Run(call.method+" "+call.path, func(t *testing.T) { other.call(t, call.method, call.path, call.body).want(t, 404) })
	}
	for _, query := range []string{"", "?webhook_id=" + text(w["id"]), "?event_id=" + text(event["event_id"])} {
		if found := other.requests(t, query); len(found) != 0 {
			t.Errorf("%s finds %v", query, found)
		}
	}
	if all := other.must(t, 200, "GET", "/api/webhooks", ""); quote(all["data"]) != "[]" {
		t.Errorf("%v", all)
	}
	if got := c.must(t, 200, "GET", "/api/webhooks/"+text(w["id"]), ""); quote(got) != quote(w) {
		t.Errorf("another tenant has changed it: %v", got)
	}
}

func TestTenantNames(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	for name, status := range map[string]int{
		"a": 200, "A.b_c-9": 200, strings.Repeat("a", 128): 200, "default": 200,
		"": 400, strings.Repeat("a", 129): 400, "a/b": 400, "a b": 400, "é": 400, "a:b": 400, "{a}": 400, "*": 400,
	} {
		t.Run(name, func(t *testing.T) {
			c.with("X-Tenant", name).call(t, "GET", "/api/webhooks", "").want(t, status)
			c.with("X-Tenant", name).emitter().call(t, "GET", "/api/event-types", "").want(t, status)
		})
	}
	// Without the tenant option, everything belongs to the tenant default.
	event := fast.mount("hooks", "Authorization", "Bearer "+emitToken).emit(t)
	c.with("X-Tenant", "default").must(t, 200, "GET", "/api/events/"+text(event["event_id"]), "")
}

func TestSecretNeverComesOut(t *testing.T) {
	t.Parallel()
	secret := "secret-" + uuid.NewString()
	c := fast.admin()
	r := receive(t, status(500))
	w := c.webhook(t, r.URL, `"secret":"`+secret+`"`)
	one := "/api/webhooks/" + text(w["id"])
	event := c.emit(t)
	requests := c.awaitRequests(t, "", 3)
	for _, call := range []struct{ method, path, body string }{
		{"POST", "/api/webhooks", `{"url":"` + r.URL + `","secret":"` + secret + `"}`},
		{"POST", "/api/webhooks", `{"url":"ftp://x","secret":"` + secret + `"}`},
		{"POST", "/api/webhooks", `{"url":"` + r.URL + `","secret":["` + secret + `"]}`},
		{"POST", "/api/webhooks", `{"url":"` + r.URL + `","secret":"` + secret},
		{"PATCH", one, `{"secret":"` + secret + `"}`},
		{"GET", one, ""},
		{"GET", "/api/webhooks", ""},
		{"POST", one + "/test", "{}"},
		{"GET", "/api/events/" + text(event["event_id"]), ""},
		{"GET", "/api/requests", ""},
		{"GET", "/api/requests/" + text(requests[0]["id"]), ""},
		{"GET", "/api/health", ""},
	} {
		t.Run(call.method+" "+call.path, func(t *testing.T) {
			if a := c.call(t, call.method, call.path, call.body); strings.Contains(a.body, secret) {
				t.Errorf("%d: %s", a.status, a.body)
			}
		})
	}
	log, err := os.ReadFile(fast.process.Log)
	if err != nil || strings.Contains(string(log), secret) {
		t.Errorf("the secret is in the log, or the log cannot be read: %v", err)
	}
}
