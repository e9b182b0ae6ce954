package contracttest

import (
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

// wantNext checks how long after a failed attempt the next one is due.
func wantNext(t *testing.T, row object, least, most time.Duration) {
	t.Helper()
	wait := wantTime(t, row["next_attempt_at"]).Sub(wantTime(t, row["started_at"]))
	took := time.Duration(number(row["duration_ms"]) * float64(time.Millisecond))
	if wait < least-time.Millisecond || wait > most+took+deadline {
		t.Errorf("%v after %s the next attempt is due, want %v to %v: %v", wait, row["trigger"], least, most, row)
	}
}
