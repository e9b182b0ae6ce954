package contracttest

import (
	"testing"
	"time"
)

// TestRateLimit has one request in an hour: the others wait and are no attempts, except for a re-run
// and a test, and nothing is wrong with that. A new limit counts at once.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	c := start(t, ownStore()+destinations("allow_http", "allow 127.0.0.0/8")).admin()
	r, free := receive(t, status(200)), receive(t, status(200))
	w := c.webhook(t, r.URL, `"rate_limit":{"requests":1,"per":"1h"}`)
	if got := quote(w["rate_limit"]); got != `{"per":"1h","requests":1}` {
		t.Errorf("rate_limit: %s", got)
	}
	other := c.webhook(t, free.URL)
	var events []string
	for range 3 {
		events = append(events, text(c.emit(t)["event_id"]))
	}
	c.awaitRequests(t, "?webhook_id="+text(other["id"]), 3)
	first := c.awaitRequests(t, "?webhook_id="+text(w["id"]), 1)[0]
	began := time.Now()
	c.must(t, 200, "POST", "/api/requests/"+text(first["id"])+"/rerun", "")
	c.must(t, 200, "POST", "/api/webhooks/"+text(w["id"])+"/test", "{}")
	if took := time.Since(began); took > 30*time.Minute {
		t.Errorf("a re-run and a test took %s", took)
	}
	rows := c.awaitRequests(t, "?webhook_id="+text(w["id"]), 3)
	for i, trigger := range []string{"event", "rerun", "test"} {
		if rows[i]["trigger"] != trigger || rows[i]["status"] != "success" {
			t.Errorf("request %d is %v", i, rows[i])
		}
	}
	c.must(t, 200, "GET", "/api/health", "")
	c.must(t, 200, "PATCH", "/api/webhooks/"+text(w["id"]), `{"rate_limit":{"requests":100,"per":"1s"}}`)
	rows = c.awaitRequests(t, "?webhook_id="+text(w["id"]), 5)
	for i, event := range events[1:] {
		if q := rows[3+i]; q["event_id"] != event || q["trigger"] != "event" || number(q["attempt"]) != 1 {
			t.Errorf("request %d is %v, want the first attempt of %s", 3+i, q, event)
		}
	}
}
