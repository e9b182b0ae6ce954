package contracttest

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// attemptTests say what an endpoint answers to each attempt, and how the delivery ends.
var attemptTests = []struct {
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
}

func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, test := range attemptTests {
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
			rows := c.awaitRequests(t, "", len(test.statuses))
			for i, status := range test.statuses {
				if rows[i]["webhook_id"] != w["id"] || rows[i]["event_id"] != event["event_id"] {
					t.Errorf("attempt %d is of another delivery: %v", i+1, rows[i])
				}
				wantAttempt(t, rows[i], i+1, status)
			}
			wantSchedule(t, rows)
			if got := len(elsewhere.received()); got != 0 {
				t.Errorf("%d redirects followed", got)
			}
			if now := c.must(t, 200, "GET", "/api/webhooks/"+text(w["id"]), ""); quote(now) != quote(w) {
				t.Errorf("afterwards the webhook is %v, was %v", now, w)
			}
		})
	}
}

// wantAttempt checks the row of an attempt, the first of which is 1, that was answered
// with the status.
func wantAttempt(t testing.TB, row object, attempt, status int) {
	t.Helper()
	ok := status/100 == 2
	want := object{"trigger": "retry", "status": "failed", "attempt": attempt, "max_attempts": 3, "status_code": status}
	if attempt == 1 {
		want["trigger"] = "event"
	}
	if ok {
		want["status"] = "success"
	}
	for name, value := range want {
		if quote(row[name]) != quote(value) {
			t.Errorf("attempt %d: %s is %v, want %v", attempt, name, row[name], value)
		}
	}
	if (text(row["error"]) == "") != ok {
		t.Errorf("attempt %d: error is %q", attempt, row["error"])
	}
}

// wantSchedule checks when all the attempts of a delivery were made, with the delay
// and the jitter of fastOptions.
func wantSchedule(t testing.TB, rows []object) {
	t.Helper()
	const delay, jitter = 100 * time.Millisecond, 50 * time.Millisecond
	var next time.Time
	for i, row := range rows {
		started := wantTime(t, row["started_at"])
		// Times in answers may be cut to the millisecond.
		if started.Before(next.Add(-time.Millisecond)) {
			t.Errorf("attempt %d was made at %v, too early: it was due at %v", i+1, started, next)
		}
		if i == len(rows)-1 {
			if row["next_attempt_at"] != nil {
				t.Errorf("next_attempt_at after the last attempt: %v", row["next_attempt_at"])
			}
			break
		}
		next = wantTime(t, row["next_attempt_at"])
		ended := started.Add(time.Duration(number(row["duration_ms"]) * float64(time.Millisecond)))
		if next.Before(started.Add(delay-time.Millisecond)) || next.After(ended.Add(delay+jitter+5*time.Second)) {
			t.Errorf("attempt %d ended at %v, the next is at %v", i+1, ended, next)
		}
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

// TestCutResponse has an endpoint end its response after the status line and a part of
// the body.
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
		t.Errorf("the retry comes %v after the attempt", wait)
	}
}
