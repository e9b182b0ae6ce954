package contracttest

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestDelays configures a delay for each attempt.
func TestDelays(t *testing.T) {
	t.Parallel()
	c := start(t, ownStore()+"retry {\ndelays 10ms 1h\njitter 0 0\n}\n"+destinations("allow_http", "allow 127.0.0.0/8")).admin()
	r := receive(t, status(500))
	c.webhook(t, r.URL)
	c.emit(t)
	rows := c.awaitRequests(t, "", 2)
	for i, delay := range []time.Duration{10 * time.Millisecond, time.Hour} {
		wantNext(t, rows[i], delay, delay)
		if number(rows[i]["max_attempts"]) != 3 {
			t.Errorf("with two delays, attempt %d is %v", i+1, rows[i])
		}
	}
}

// TestWebhookDelays gives a webhook a schedule of its own, and changes it.
func TestWebhookDelays(t *testing.T) {
	t.Parallel()
	c := slow.admin() // 2 attempts, with an hour and a jitter of 1s to 60s between
	r := receive(t, status(500))
	w := c.webhook(t, r.URL, `"retry":{"delays":["10ms","1h30m","14h"],"jitter":["0s","1ms"]}`)
	if got := quote(w["retry"]); got != `{"delays":["10ms","1h30m","14h"],"jitter":["0s","1ms"]}` {
		t.Errorf("retry: %s", got)
	}
	c.emit(t)
	rows := c.awaitRequests(t, "?webhook_id="+text(w["id"]), 2)
	for i, delay := range []time.Duration{10 * time.Millisecond, 90 * time.Minute} {
		wantNext(t, rows[i], delay, delay+time.Millisecond)
		if number(rows[i]["max_attempts"]) != 4 {
			t.Errorf("with three delays, attempt %d is %v", i+1, rows[i])
		}
	}
	path := "/api/webhooks/" + text(w["id"])
	for _, test := range []struct {
		patch, want string
		attempts    float64
		delay, more time.Duration
	}{
		{`{"attempts":7}`, `{"attempts":7}`, 7, time.Hour + time.Second, 59 * time.Second},
		{`{"jitter":["2h","2h"]}`, `{"jitter":["2h","2h"]}`, 2, 3 * time.Hour, 0},
		{`{}`, `{}`, 2, time.Hour + time.Second, 59 * time.Second},
		{`{"attempts":3,"delays":["1d"],"jitter":["0s","0s"]}`, `{"attempts":3,"delays":["1d"],"jitter":["0s","0s"]}`, 3, 24 * time.Hour, 0},
		{`null`, `null`, 2, time.Hour + time.Second, 59 * time.Second},
	} {
		if got := quote(c.must(t, 200, "PATCH", path, `{"retry":`+test.patch+`}`)["retry"]); got != test.want {
			t.Errorf("%s: %s", test.patch, got)
		}
		event := c.emit(t)["event_id"]
		row := c.awaitRequests(t, "?webhook_id="+text(w["id"])+"&event_id="+text(event), 1)[0]
		wantNext(t, row, test.delay, test.delay+test.more)
		if number(row["max_attempts"]) != test.attempts {
			t.Errorf("%s: %v", test.patch, row)
		}
	}
}

// TestRetryAfter has an endpoint ask for more time than the schedule gives it.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	later := receive(t, func(_ int, w http.ResponseWriter) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	for _, test := range []struct {
		options string
		want    time.Duration
	}{
		{"retry {\ndelay 1h\njitter 0 0\n}\n", time.Hour},
		{"retry {\ndelay 1h\njitter 0 0\n}\nstandard_webhooks\n", 2 * time.Hour},
		{"retry {\ndelay 1h\njitter 0 0\nretry_after 90m\n}\n", 90 * time.Minute},
		{"retry {\ndelay 1h\njitter 0 0\nretry_after 0\n}\nstandard_webhooks\n", time.Hour},
	} {
		c := start(t, ownStore()+test.options+destinations("allow_http", "allow 127.0.0.0/8")).admin()
		c.webhook(t, later.URL)
		c.emit(t)
		wantNext(t, c.awaitRequests(t, "", 1)[0], test.want, test.want)
	}
}

func (c client) awaitDisabled(t *testing.T, id any) (w object) {
	t.Helper()
	eventually(t, "the webhook to be disabled", func() bool {
		w = c.must(t, 200, "GET", "/api/webhooks/"+text(id), "")
		return w["enabled"] == false
	})
	return w
}

// TestDisableOnGone has an endpoint say that it is gone, and come back.
func TestDisableOnGone(t *testing.T) {
	t.Parallel()
	c := start(t, ownStore()+"audit\ndisable_on_gone\nretry {\nattempts 100\ndelay 1s\njitter 0 0\n}\n"+destinations("allow_http", "allow 127.0.0.0/8")).admin()
	var back atomic.Bool
	r := receive(t, func(_ int, w http.ResponseWriter) {
		if !back.Load() {
			w.WriteHeader(http.StatusGone)
		}
	})
	id := c.webhook(t, r.URL)["id"]
	event := c.emit(t)["event_id"]
	if w := c.awaitDisabled(t, id); w["disabled_reason"] != "gone" {
		t.Errorf("%v", w)
	}
	entries := list(c.must(t, 200, "GET", "/api/audit", "")["data"])
	want := `{"disabled_reason":"gone","enabled":false}`
	if e := entries[0]; e["action"] != "webhook_disabled" || e["by"] != "system" || e["address"] != "" || e["webhook_id"] != id || quote(e["after"]) != want {
		t.Errorf("audited as %v", e)
	}
	if d := c.delivery(t, event); d["status"] != "pending" {
		t.Errorf("the delivery is %v", d)
	}
	back.Store(true)
	path := "/api/webhooks/" + text(id)
	if w := c.must(t, 200, "PATCH", path, `{"enabled":true}`); w["disabled_reason"] != nil {
		t.Errorf("enabled again: %v", w)
	}
	c.awaitDelivery(t, event, "success")
	if w := c.must(t, 200, "PATCH", path, `{"enabled":false}`); w["disabled_reason"] != "admin" {
		t.Errorf("disabled by an admin: %v", w)
	}
}

// TestDisableAfter has an endpoint fail for longer than it may.
func TestDisableAfter(t *testing.T) {
	t.Parallel()
	c := start(t, ownStore()+"disable_after 2s\nretry {\nattempts 1\n}\n"+destinations("allow_http", "allow 127.0.0.0/8")).admin()
	id := c.webhook(t, receive(t, status(500)).URL)["id"]
	well := c.webhook(t, receive(t, nil).URL)["id"]
	for began := time.Now(); ; time.Sleep(pollEvery) {
		c.emit(t)
		w := c.must(t, 200, "GET", "/api/webhooks/"+text(id), "")
		if w["enabled"] == true {
			if time.Since(began) > deadline {
				t.Fatal("the webhook stays enabled")
			}
			continue
		}
		if w["disabled_reason"] != "failing" {
			t.Errorf("%v", w)
		}
		break
	}
	if w := c.must(t, 200, "GET", "/api/webhooks/"+text(well), ""); w["enabled"] != true || w["disabled_reason"] != nil {
		t.Errorf("one that answers well: %v", w)
	}
}

// wantNext checks how long after a failed attempt the next one is due.
func wantNext(t *testing.T, row object, least, most time.Duration) {
	t.Helper()
	wait := wantTime(t, row["next_attempt_at"]).Sub(wantTime(t, row["started_at"]))
	took := time.Duration(number(row["duration_ms"]) * float64(time.Millisecond))
	if wait < least-time.Millisecond || wait > most+took+deadline {
		t.Errorf("%v after %s the next attempt is due, want %v to %v: %v", wait, row["trigger"], least, most, row)
	}
}
