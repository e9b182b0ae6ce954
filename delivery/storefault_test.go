package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

var errLost = errors.New("connection lost")

// failing makes one operation of a store fail.
func failing(op string, err error) func(string) error {
	return func(called string) error {
		if called == op {
			return err
		}
		return nil
	}
}

func TestStoreThatIsAwayAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		store.Fail(failing("Open", errors.New("nobody there")))
		r := run(t, store, newEndpoints(ok))
		defer r.stop()
		time.Sleep(time.Hour)
		if _, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}}); !errors.Is(err, delivery.ErrUnavailable) {
			t.Errorf("emit: %v", err)
		}
		if err := r.Health(t.Context()); err == nil {
			t.Error("the engine is healthy without a store")
		}
		store.Fail(nil)
		time.Sleep(10 * time.Second)
		if err := r.Health(t.Context()); err != nil {
			t.Errorf("after the store came: %v", err)
		}
		r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		if n := len(r.log()); n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
	})
}

func TestAcceptWithUnknownOutcomeIsRepeated(t *testing.T) {
	tests := []struct {
		name   string
		stored bool // whether the store carried out the first try, whose answer was lost
	}{
		{"carried out", true},
		{"not carried out", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &lossy{Store: flaky.New(), carryOut: tt.stored}
				endpoints := newEndpoints(ok)
				r := runOn(t, store, store.Store, endpoints)
				defer r.stop()
				r.webhook("https://a.example")
				store.lose(1)
				receipt := r.emit(1)[0]
				if receipt.Duplicate || receipt.Deliveries != 1 {
					t.Errorf("receipt %+v", receipt)
				}
				time.Sleep(time.Minute) // until the lease of the lost try has ended
				synctest.Wait()
				if n := len(endpoints.to("https://a.example")); n != 1 {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

// When Redis restarts, the connection breaks, and for a while nothing listens. The
// engine asks about what may have been stored until it knows.
func TestAcceptWithUnknownOutcomeWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lossy{Store: flaky.New(), carryOut: true}
		endpoints := newEndpoints(ok)
		r := runOn(t, store, store.Store, endpoints)
		defer r.stop()
		r.webhook("https://a.example")
		store.lose(1)
		time.AfterFunc(time.Millisecond, func() { store.Fail(failing("Accept", delivery.ErrUnavailable)) })
		time.AfterFunc(time.Second, func() { store.Fail(nil) })
		if receipt := r.emit(1)[0]; receipt.Deliveries != 1 || receipt.Duplicate {
			t.Errorf("receipt %+v", receipt)
		}
		time.Sleep(time.Minute)
		if n := endpoints.count(); n != 1 {
			t.Errorf("sent %d times", n)
		}

		store.lose(1)
		time.AfterFunc(time.Millisecond, func() { store.Fail(failing("Accept", delivery.ErrUnavailable)) })
		_, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
		if err == nil || errors.Is(err, delivery.ErrUnavailable) {
			t.Errorf("got %v, which must not promise that nothing was written", err)
		}
		store.Fail(nil)
	})
}

func TestAcceptThatFails(t *testing.T) {
	for _, err := range []error{delivery.ErrFull, delivery.ErrUnavailable, errLost} {
		t.Run(err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(ok))
				defer r.stop()
				r.webhook("https://a.example")
				r.store.Fail(failing("Accept", err))
				_, got := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
				if !errors.Is(got, err) {
					t.Errorf("emit: %v, want %v", got, err)
				}
				r.store.Fail(nil)
				for range 100 { // the failed emit keeps no slots
					r.emit(1)
					synctest.Wait()
				}
				if n := len(r.sender.to("https://a.example")); n != 100 {
					t.Errorf("sent %d of 100", n)
				}
			})
		})
	}
}

func TestNothingIsSentWhileOutcomesCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.store.Fail(failing("Complete", errLost))
		r.emit(1)
		time.Sleep(2 * time.Second)
		before := r.sender.count()
		r.emit(50)
		time.Sleep(10 * time.Second)
		if n := r.sender.count() - before; n != 0 {
			t.Errorf("%d requests sent whose outcomes could not be written", n)
		}
		r.store.Fail(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := r.sender.count(); n != 51 {
			t.Errorf("%d requests for 51 events", n)
		}
		if n := len(r.log()); n != 51 {
			t.Errorf("%d rows for 51 events", n)
		}
	})
}

func TestClaimFailuresEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), func(s *delivery.Settings) { s.ConcurrencyPerWebhook = 1 })
		defer r.stop()
		r.webhook("https://a.example")
		r.store.Fail(failing("Claim", errLost))
		r.emit(10)
		time.Sleep(time.Minute)
		if n := r.store.Calls("Claim"); n > 60 {
			t.Errorf("%d claims in a minute of failures, want 60 at most", n)
		}
		r.store.Fail(nil)
		time.Sleep(10 * time.Second)
		if n := len(r.log()); n != 10 {
			t.Errorf("%d of 10 delivered", n)
		}
	})
}

// cluttered is a store whose Sweep fails, and says that there is more to remove.
type cluttered struct {
	*flaky.Store
	sweeps atomic.Int64
}

func (s *cluttered) Sweep(context.Context, time.Duration) (bool, error) {
	s.sweeps.Add(1)
	return true, delivery.ErrFull
}

// TestSweepRests checks that housekeeping that fails is not tried again at once.
func TestSweepRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &cluttered{Store: flaky.New()}
		r := runOn(t, store, store.Store, newEndpoints(ok))
		defer r.stop()
		time.Sleep(time.Hour + time.Minute)
		if n := store.sweeps.Load(); n != 7 {
			t.Errorf("the store was swept %d times in an hour, want 7", n)
		}
	})
}

// An emit whose targets are out of date again and again is refused, and told that nothing
// was written.
func TestAcceptThatIsAlwaysStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		r := run(t, store, newEndpoints(ok))
		defer r.stop()
		w := r.webhook("https://a.example")
		store.Fail(failing("Accept", delivery.ErrStale))
		if _, err := r.Emit(t.Context(), tenant, oneEvent); !errors.Is(err, delivery.ErrUnavailable) {
			t.Errorf("an emit: %v", err)
		}
		if _, err := r.Test(t.Context(), tenant, w.ID, oneEvent[0]); !errors.Is(err, delivery.ErrUnavailable) {
			t.Errorf("a test event: %v", err)
		}
	})
}

// picky is a store that never writes the outcomes of one event.
type picky struct {
	*flaky.Store
	event uuid.UUID
}

func (s *picky) Complete(ctx context.Context, outcomes []delivery.Outcome) []error {
	errs := make([]error, len(outcomes))
	for i := range outcomes {
		if errs[i] = errLost; outcomes[i].Request.EventID != s.event {
			errs[i] = errors.Join(s.Store.Complete(ctx, outcomes[i:i+1])...)
		}
	}
	return errs
}

// An outcome that alone cannot be written holds up no other. In the end it is given up, and
// the request made again.
func TestOutcomeThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &picky{Store: flaky.New()}
		endpoints := newEndpoints(ok)
		r := runOn(t, store, store.Store, endpoints)
		defer r.stop()
		r.webhook("https://a.example")
		id := uuid.New()
		store.event = id
		events := []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}, {ID: id, Type: "a", Data: []byte(`{}`)}, {Type: "a", Data: []byte(`{}`)}}
		if _, err := r.Emit(t.Context(), tenant, events); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		r.emit(10)
		time.Sleep(time.Minute)
		if n := len(r.log()); n != 12 {
			t.Errorf("%d of 12 other requests are in the log", n)
		}
		before := endpoints.count()
		time.Sleep(10 * time.Minute)
		if endpoints.count() == before {
			t.Error("the request was not made again")
		}
	})
}
