package delivery

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// failsAfter is for how long the store must have failed to do something before that is a
// change of its state, rather than a moment that passes.
const failsAfter = 5 * time.Second

// task is something that must succeed lest everything stands still.
type task int

const (
	accepting  task = iota // events
	claiming               // due deliveries
	completing             // outcomes of requests
	starting               // requests for due deliveries
	tasks
)

// complaints say to an admin which task fails, and for how long it has.
var complaints = [tasks]string{
	accepting:  "the store has accepted no events for %s",
	claiming:   "the store has handed out no due deliveries for %s",
	completing: "the store has taken in no outcomes of requests for %s",
	starting:   "a delivery that could be sent has been due for %s",
}

var errNoAnswer = fmt.Errorf("%w: %w", ErrUnavailable, Reason("the store has not answered for a while"))

// watch knows whether the tasks of one partition succeed, and logs when that changes.
type watch struct {
	partition int
	of        int // how many partitions there are
	log       func() *zap.Logger
	notify    func(err error) // that it does its work, or why not

	mu       sync.Mutex
	failures [tasks]failure
	// accepting and refused: since the last ping, events were accepted, or failed to be.
	accepted, refused bool
	acceptsSince      time.Time // when the Accept that runs now began, or zero
	down              bool      // the log says that it fails
}

// failure is a task that has not succeeded since a time, which is zero for one that has.
type failure struct {
	since     time.Time
	err       error     // the latest
	succeeded time.Time // when it last did
}

// note records how a task ended that began at a time.
func (w *watch) note(t task, began time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t == accepting {
		w.accepted, w.refused = w.accepted || err == nil, w.refused || err != nil
		w.acceptsSince = time.Time{}
	}
	w.record(t, began, err)
}

// noteUnread records that the webhooks could not be read for which events are. An Accept that
// runs now goes on.
func (w *watch) noteUnread(began time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = true
	w.record(accepting, began, err)
}

// notePing records whether a partition would accept events. That it says so does not count
// if it has refused some since it was last asked.
func (w *watch) notePing(began time.Time, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil || !w.refused {
		w.record(accepting, began, err)
	}
	w.refused = false
}

// record records how a task ended. The caller has the lock.
func (w *watch) record(t task, began time.Time, err error) {
	f, now := &w.failures[t], time.Now()
	if err == nil {
		*f = failure{succeeded: now}
	} else {
		if began.Before(f.succeeded) { // another has succeeded meanwhile
			began = f.succeeded
		}
		if f.since.IsZero() || began.Before(f.since) { // of several, the first may end last
			f.since = began
		}
		f.err = err
	}
	w.tell(now)
}

// accepts notes that an Accept has begun, until note.
func (w *watch) accepts() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acceptsSince = time.Now()
}

// noteOverdue records for how long a delivery that could be sent has been due.
func (w *watch) noteOverdue(overdue time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.failures[starting] = failure{}
	if overdue >= overdueAfter {
		w.failures[starting] = failure{since: now.Add(-overdue), err: errOverdue}
	}
	w.tell(now)
}

// tell logs a change of state. The caller has the lock.
func (w *watch) tell(now time.Time) {
	err := w.complaint(now)
	switch {
	case err != nil && !w.down:
		w.log().Error("the store does not do its work", zap.Int("partition", w.partition), zap.Error(err))
		w.notify(err)
	case err == nil && w.down:
		w.log().Info("the store does its work again", zap.Int("partition", w.partition))
		w.notify(nil)
	}
	w.down = err != nil
}

// complaint says what has failed for too long. The caller has the lock.
func (w *watch) complaint(now time.Time) error {
	for t := range w.failures {
		f := &w.failures[t]
		if f.since.IsZero() || now.Sub(f.since) < failsAfter {
			continue
		}
		err := fmt.Errorf("%w: %w", Reason(fmt.Sprintf(complaints[t], now.Sub(f.since).Round(time.Second))), f.err)
		if w.of > 1 {
			err = fmt.Errorf("%w: %w", Reason(fmt.Sprintf("partition %d of %d", w.partition, w.of)), err)
		}
		return err
	}
	return nil
}

// health returns what has failed for too long, nil if nothing has.
func (w *watch) health() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.complaint(time.Now())
}

func (w *watch) isUp() bool { return w.health() == nil }

// hasAccepted says whether events were accepted since it was last called, and none was
// refused.
func (w *watch) hasAccepted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	accepted := w.accepted && !w.refused
	w.accepted = false
	return accepted
}

// failing says whether a task has failed lately, and not succeeded since.
func (w *watch) failing(t task) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.failures[t].since.IsZero()
}

// refusal is why nothing that needs a task should wait for it: it has not succeeded for a
// while. It promises that nothing was written.
func (w *watch) refusal(t task) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &w.failures[t]
	switch {
	case !f.since.IsZero() && time.Since(f.since) >= blockAfter:
		return nothingWritten(f.err)
	case t == accepting && w.of > 1 && !w.acceptsSince.IsZero() && time.Since(w.acceptsSince) >= blockAfter:
		return errNoAnswer // others would lack the room for what gathers here
	default:
		return nil
	}
}
