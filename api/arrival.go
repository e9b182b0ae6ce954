package api

import (
	"net/http"
	"sync"
	"time"
)

const (
	// A body may take a second more for each slowestBody bytes that there is room for.
	slowestBody = 256 << 10
	// restPatience is how long the server may read what is left of a body whose call was
	// refused, before it answers.
	restPatience = 2 * time.Second
)

// arrival ends the reading of a body that does not arrive in time. The server's own
// deadline stays as it is, until then.
type arrival struct {
	writes   bool // it is a response, which a client is to read
	patience time.Duration
	timer    *time.Timer
	began    time.Time

	mu   sync.Mutex
	w    http.ResponseWriter // nil while no body is awaited
	late bool
}

// begin awaits a body of so many bytes.
func (a *arrival) begin(w http.ResponseWriter, patience time.Duration, bytes int64) {
	a.mu.Lock()
	a.w, a.late = w, false
	a.mu.Unlock()
	a.patience, a.began = patience, time.Now()
	if a.timer == nil {
		a.timer = time.AfterFunc(a.time(bytes), a.expire)
	} else {
		a.timer.Reset(a.time(bytes))
	}
}

// time is how long a body of so many bytes may take.
func (a *arrival) time(bytes int64) time.Duration {
	return a.patience + time.Duration(max(0, bytes))*time.Second/slowestBody
}

// grow awaits a body that has become so large.
func (a *arrival) grow(bytes int64) {
	if a.timer.Stop() {
		a.timer.Reset(a.time(bytes) - time.Since(a.began))
	}
}

// pause does something else, for a time that does not count, and then awaits what has become so
// large. It returns false, and does nothing, if it is late.
func (a *arrival) pause(bytes int64, do func()) bool {
	if !a.timer.Stop() {
		return false
	}
	began := time.Now()
	do()
	a.began = a.began.Add(time.Since(began))
	a.timer.Reset(a.time(bytes) - time.Since(a.began))
	return true
}

// expire has the Read or Write in progress, and any other, fail at once.
func (a *arrival) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.w == nil {
		return
	}
	a.late = true
	past := time.Unix(1, 0)
	if a.writes { // past Caddy's writers, which are not for several goroutines
		_ = http.NewResponseController(innermost(a.w)).SetWriteDeadline(past)
	} else {
		_ = http.NewResponseController(a.w).SetReadDeadline(past) // not every writer can
	}
}

// end awaits nothing more. The arrival can be used again if again is true; late says that
// the body came too late.
func (a *arrival) end() (late, again bool) {
	again = a.timer.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.w = nil // which is for others once the call has ended
	return a.late, again
}

// hurryRest bounds how long the server reads what is left of a body, which it does before
// it answers. The deadline is for this call alone: the server sets its own for the next.
func hurryRest(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(restPatience))
}
