package redis

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// steppedStore is a store on a Redis whose clock can be set, with the store's log.
type steppedStore struct {
	*Store
	t     *testing.T
	clock *redistest.Clock
	said  *observer.ObservedLogs
}

func openStepped(t *testing.T) *steppedStore {
	t.Helper()
	server, clock := redistest.StartWithClock(t)
	return reopened(t, Options{Addresses: []string{server.Addr}}, clock)
}

// reopened opens the store as another process, which knows nothing of the clock yet.
func reopened(t *testing.T, o Options, clock *redistest.Clock) *steppedStore {
	t.Helper()
	core, said := observer.New(zapcore.WarnLevel)
	o.Logger = zap.New(core)
	s := &steppedStore{open(t, o), t, clock, said}
	said.TakeAll() // the warning that this Redis keeps nothing on disk
	return s
}

// failed accepts an event whose first attempt fails, and is retried after a while.
func (s *steppedStore) failed(w *delivery.Webhook, again time.Duration) delivery.Outcome {
	s.t.Helper()
	call := newCall(s.Store, w, 1, 10, true)
	accepted := mustAccept(s.t, s.Store, call)
	o := success(s.Store, w, &call.Events[0], &accepted)
	o.Request.Status, o.RetryAt = delivery.RequestFailed, s.Now().Add(again)
	s.complete(o)
	return o
}

func (s *steppedStore) complete(o delivery.Outcome) {
	s.t.Helper()
	if err := errors.Join(s.Complete(s.t.Context(), []delivery.Outcome{o})...); err != nil {
		s.t.Fatal(err)
	}
}

// wantClaimed waits until n deliveries have fallen due.
func (s *steppedStore) wantClaimed(n int) (jobs []delivery.Job) {
	s.t.Helper()
	eventually(s.t, "deliveries fall due", func() error {
		jobs = append(jobs, claim(s.t, s.Store)...)
		return countJobs(jobs, n)
	})
	for _, job := range jobs {
		s.wantNear("when a delivery fell due", job.Due)
	}
	return jobs
}

// wantNear fails the test unless a time is close to the store's.
func (s *steppedStore) wantNear(what string, at time.Time) {
	s.t.Helper()
	if now := s.Now(); now.Sub(at).Abs() > 2*time.Minute {
		s.t.Errorf("%s is %s, and the store's clock %s", what, at, now)
	}
}

// wantSaid fails the test unless the log has exactly one warning, which begins so.
func (s *steppedStore) wantSaid(want string) {
	s.t.Helper()
	lines := s.said.TakeAll()
	if len(lines) != 1 || lines[0].Level != zapcore.WarnLevel || len(lines[0].Message) < len(want) || lines[0].Message[:len(want)] != want {
		s.t.Errorf("the log says %v, want one warning: %s…", lines, want)
	}
}

// TestClockSetBack sets Redis's clock back by two hours while a retry waits, a request is in
// flight, and another one has ended but its outcome is not written yet.
func TestClockSetBack(t *testing.T) {
	s := openStepped(t)
	waiting, sent, ended := addWebhook(t, s.Store, "waiting"), addWebhook(t, s.Store, "sent"), addWebhook(t, s.Store, "ended")
	s.failed(waiting, 3*time.Second)
	underWay := newCall(s.Store, sent, 1, 10, true)
	leased := mustAccept(t, s.Store, underWay)
	call := newCall(s.Store, ended, 1, 10, true)
	accepted := mustAccept(t, s.Store, call)
	unwritten := success(s.Store, ended, &call.Events[0], &accepted)
	unwritten.Request.Status, unwritten.RetryAt = delivery.RequestFailed, s.Now().Add(3*time.Second)

	before := time.Now()
	s.clock.Set(t, -2*time.Hour)
	s.complete(unwritten) // with a time that is no longer Redis's
	s.wantClaimed(2)
	if took := time.Since(before); took < time.Second {
		t.Errorf("what was due in 3 s was claimed after %s", took)
	}
	s.wantSaid("Redis's clock was set back")
	if now := s.Now(); time.Until(now) > -time.Hour {
		t.Errorf("the store's clock is %s: it did not follow Redis's", now)
	}

	// The lease still holds, and its token is valid.
	if err := countJobs(claim(t, s.Store), 0); err != nil {
		t.Error(err)
	}
	s.complete(success(s.Store, sent, &underWay.Events[0], &leased))
	if n, err := s.Pending(t.Context()); err != nil || n != 2 { // those that were claimed above
		t.Errorf("%d deliveries are pending, %v", n, err)
	}
}

// TestClockSetBackAlone sets the clock back while no process uses the store, as when a
// machine starts with a clock that lost its battery.
func TestClockSetBackAlone(t *testing.T) {
	s := openStepped(t)
	s.failed(addWebhook(t, s.Store, testTenant), 3*time.Second)
	s.clock.Set(t, -2*time.Hour)
	later := reopened(t, s.options, s.clock)
	later.wantClaimed(1)
}

// TestClockSetBackIsSaid checks that Open warns when the clock is behind what it was.
func TestClockSetBackIsSaid(t *testing.T) {
	s := openStepped(t)
	s.failed(addWebhook(t, s.Store, testTenant), time.Hour)
	s.clock.Set(t, -2*time.Hour)
	core, said := observer.New(zapcore.WarnLevel)
	o := s.options
	o.Logger = zap.New(core)
	open(t, o)
	if n := said.FilterMessageSnippet("Redis's clock was set back").Len(); n != 1 {
		t.Errorf("the log says so %d times: %v", n, said.All())
	}
}

// TestClockSetForward sets the clock forward: what waits falls due early, and the log says
// so.
func TestClockSetForward(t *testing.T) {
	s := openStepped(t)
	s.failed(addWebhook(t, s.Store, testTenant), time.Hour)
	s.clock.Set(t, 2*time.Hour)
	eventually(t, "the delivery falls due", func() error { return countJobs(claim(t, s.Store), 1) })
	s.wantSaid("Redis's clock was set forward")
	// When the clock is set right, what waits falls due as if nothing had happened.
	s.failed(addWebhook(t, s.Store, "other"), 3*time.Second)
	s.clock.Set(t, 0)
	s.wantClaimed(1)
	s.wantNear("this machine's clock", time.Now())
}

// TestClockBehindWhatWasSwept sets the clock back to before hours that were swept: events
// that are accepted then must not count as swept.
func TestClockBehindWhatWasSwept(t *testing.T) {
	s := openStepped(t)
	w := addWebhook(t, s.Store, testTenant)
	call := newCall(s.Store, w, 1, 10, true)
	accepted := mustAccept(t, s.Store, call)
	s.complete(success(s.Store, w, &call.Events[0], &accepted))
	s.clock.Set(t, 6*time.Hour)
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	s.clock.Set(t, 0)
	call = newCall(s.Store, w, 1, 10, false)
	accepted = mustAccept(t, s.Store, call)
	job := s.wantClaimed(1)[0]
	if job.Event.ReceivedAt != accepted.At {
		t.Errorf("the event was received %s, as it says, and %s", job.Event.ReceivedAt, accepted.At)
	}
	if _, _, err := s.Event(t.Context(), testTenant, job.Event.ID); err != nil {
		t.Error(err)
	}
}

// TestCopyFromClockSetBack checks that due times are exported by Redis's clock.
func TestCopyFromClockSetBack(t *testing.T) {
	from := openStepped(t)
	w := addWebhook(t, from.Store, testTenant)
	from.clock.Set(t, 5*time.Hour)
	from.failed(w, time.Hour)
	from.clock.Set(t, 0)
	from.failed(w, time.Hour) // from now on, the schedule's clock is ahead
	to := open(t, options())
	mustCopy(t, from.Store, to)
	for name, s := range map[string]*Store{"from": from.Store, "to": to} {
		for batch, err := range s.Export(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range batch.Events {
				if due := time.Until(batch.Events[i].Deliveries[0].Due); due < 50*time.Minute || due > 70*time.Minute {
					t.Errorf("in %s a delivery falls due in %s", name, due)
				}
			}
		}
	}
}

// TestTakeAfterClockSetBack cancels retries that were scheduled before the clock was set back, and
// after: they wait, and are not in flight. What was claimed before or after is.
func TestTakeAfterClockSetBack(t *testing.T) {
	s := openStepped(t)
	w := addWebhook(t, s.Store, testTenant)
	waiting := []delivery.Outcome{s.failed(w, time.Hour), s.failed(w, 30*time.Second)}
	held := []delivery.Outcome{s.failed(w, 0)}
	s.wantClaimed(1)
	for i := range 3 {
		s.clock.Set(t, time.Duration(-i-1)*10*time.Second)
		eventually(t, "the store sees it", func() error { _, err := s.Pending(t.Context()); return err })
		waiting = append(waiting, s.failed(w, time.Hour), s.failed(w, time.Minute))
		held = append(held, s.failed(w, 0))
		s.wantClaimed(1)
	}
	for i := range held {
		if _, err := s.Take(t.Context(), w.Ref(), held[i].Request.EventID, time.Second); !errors.Is(err, delivery.ErrInFlight) {
			t.Errorf("%d of those in flight: %v", i, err)
		}
	}
	for i := range waiting {
		if _, err := s.Take(t.Context(), w.Ref(), waiting[i].Request.EventID, time.Second); err != nil {
			t.Errorf("%d of those that wait: %v", i, err)
		}
		if _, err := s.Take(t.Context(), w.Ref(), waiting[i].Request.EventID, time.Second); !errors.Is(err, delivery.ErrInFlight) {
			t.Errorf("%d of those that were taken: %v", i, err)
		}
	}
}
