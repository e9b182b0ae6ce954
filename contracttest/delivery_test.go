package contracttest

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestAttempts(t *testing.T) {
	t.Parallel()
	const delay, jitter = 100 * time.Millisecond, 50 * time.Millisecond
	for _, test := range []struct {
		name     string
		statuses []int
		outcome  string
	}{
		{"at once", []int{204}, "success"},
		{"on the second attempt", []int{500, 201}, "success"},
		{"on the last attempt", []int{404, 410, 299}, "success"},
		{"never", []int{500, 400, 503}, "failed"},
		{"redirects", []int{302, 307, 308}, "failed"},
		{"not modified", []int{304, 300, 429}, "failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fast.admin()
			elsewhere := receive(t, nil)
			r := receive(t, func(n int, w http.ResponseWriter) {
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(test.statuses[n-1])
			})
			w := c.webhook(t, r.URL)
			event := c.emit(t)
			d := c.awaitDelivery(t, event["event_id"], test.outcome)
			if number(d["attempts"]) != float64(len(test.statuses)) || d["next_attempt_at"] != nil {
				t.Errorf("delivery %v", d)
			}
			var next time.Time
			for i, q := range c.awaitRequests(t, "", len(test.statuses)) {
				ok, last := test.statuses[i]/100 == 2, i == len(test.statuses)-1
				want := object{
					"trigger": "retry", "status": "failed", "attempt": i + 1, "max_attempts": 3, "status_code": test.statuses[i],
					"webhook_id": w["id"], "event_id": event["event_id"],
				}
				if i == 0 {
					want["trigger"] = "event"
				}
				if ok {
					want["status"] = "success"
				}
				for name, value := range want {
					if quote(q[name]) != quote(value) {
						t.Errorf("attempt %d: %s is %v, want %v", i+1, name, q[name], value)
					}
				}
				if (text(q["error"]) == "") != ok {
					t.Errorf("attempt %d: error is %q", i+1, q["error"])
				}
				started := wantTime(t, q["started_at"])
				// Times in answers may be cut to the millisecond.
				if started.Before(next.Add(-time.Millisecond)) {
					t.Errorf("attempt %d at %v, before %v", i+1, started, next)
				}
				if last {
					if q["next_attempt_at"] != nil {
						t.Errorf("next_attempt_at after the last attempt: %v", q["next_attempt_at"])
					}
					break
				}
				next = wantTime(t, q["next_attempt_at"])
				ended := started.Add(time.Duration(number(q["duration_ms"]) * float64(time.Millisecond)))
				if next.Before(started.Add(delay-time.Millisecond)) || next.After(ended.Add(delay+jitter+5*time.Second)) {
					t.Errorf("attempt %d ended at %v, the next is at %v", i+1, ended, next)
				}
			}
			if got := len(elsewhere.received()); got != 0 {
				t.Errorf("%d redirects followed", got)
			}
			if now := c.must(t, 200, "GET", "/api/webhooks/"+text(w["id"]), ""); quote(now) != quote(w) {
				t.Errorf("afterwards the webhook is %v, was %v", now, w)
			}
		})
	}
}

func TestNoStatusLine(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]func(int, http.ResponseWriter){
		"no answer": func(_ int, w http.ResponseWriter) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				conn.Close()
			}
		},
		"no connection": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fast.admin()
			r := receive(t, reply)
			if reply == nil {
				r.Close()
			}
			c.webhook(t, r.URL)
			c.emit(t)
			for _, q := range c.awaitRequests(t, "", 3) {
				if q["status"] != "failed" || q["status_code"] != nil || text(q["error"]) == "" {
					t.Errorf("%v", q)
				}
				if full := c.request(t, q); full["response_body"] != "" || text(full["request_body"]) == "" {
					t.Errorf("%v", full)
				}
			}
		})
	}
}

// TestCutResponse is about a status line whose response does not end well.
func TestCutResponse(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, func(_ int, w http.ResponseWriter) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "only this")
	})
	c.webhook(t, r.URL)
	c.emit(t)
	for _, q := range c.awaitRequests(t, "", 3) {
		if q["status"] != "failed" || number(q["status_code"]) != 200 || text(q["error"]) == "" {
			t.Errorf("%v", q)
		}
	}
}

func TestRetryIsScheduled(t *testing.T) {
	t.Parallel()
	c := slow.admin()
	r := receive(t, status(500))
	c.webhook(t, r.URL)
	event := c.emit(t)
	q := c.awaitRequests(t, "", 1)[0]
	d := c.delivery(t, event["event_id"])
	if d["status"] != "pending" || number(d["attempts"]) != 1 || d["next_attempt_at"] != q["next_attempt_at"] {
		t.Errorf("delivery %v, request %v", d, q)
	}
	next, started := wantTime(t, q["next_attempt_at"]), wantTime(t, q["started_at"])
	if wait := next.Sub(started); wait < time.Hour+time.Second-time.Millisecond || wait > time.Hour+time.Minute+deadline {
		t.Errorf("the retry is after %v", wait)
	}
}
