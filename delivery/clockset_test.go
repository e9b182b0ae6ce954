package delivery_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// settable is a store whose clock can be set. It notes in how long what is completed is
// tried again, by that clock.
type settable struct {
	*flaky.Store

	mu      sync.Mutex
	ahead   time.Duration
	retries []time.Duration
}

func (s *settable) set(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = ahead
}

func (s *settable) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Store.Now().Add(s.ahead)
}

func (s *settable) Complete(ctx context.Context, outcomes []delivery.Outcome) []error {
	now := s.Now()
	s.mu.Lock()
	for i := range outcomes {
		if at := outcomes[i].RetryAt; !at.IsZero() {
			s.retries = append(s.retries, at.Sub(now))
		}
	}
	s.mu.Unlock()
	return s.Store.Complete(ctx, outcomes)
}

// TestClockIsSet has the store's clock set back while the outcome of a failed request
// cannot be written: the delay counts from when the request ended, by what has passed.
func TestClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &settable{Store: flaky.New()}
		store.Fail(failing("Complete", errLost))
		r := runOn(t, store, store.Store, newEndpoints(status(500)), func(s *delivery.Settings) {
			s.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Minute}}
		})
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		time.Sleep(time.Second)
		store.set(-2 * time.Hour)
		store.Fail(nil)
		time.Sleep(10 * time.Second)

		store.mu.Lock()
		defer store.mu.Unlock()
		last := store.retries[len(store.retries)-1]
		if tries := len(store.retries); tries < 2 || last > time.Minute || last < 50*time.Second {
			t.Errorf("after %d tries to write the outcome it is tried again in %s, want a minute less these", tries, last)
		}
	})
}

// TestRequestAfterItsEvent has the clock set back between an event and its request, which
// still sent that event.
func TestRequestAfterItsEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &settable{Store: flaky.New()}
		r := runOn(t, store, store.Store, newEndpoints(status(500)), func(s *delivery.Settings) {
			s.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Minute}}
		})
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		time.Sleep(time.Second)
		store.set(-2 * time.Hour)
		time.Sleep(2 * time.Minute)
		rows := r.log()
		if len(rows) != 2 {
			t.Fatalf("the log has %d requests", len(rows))
		}
		for i := range rows {
			if request, err := r.Request(t.Context(), tenant, rows[i].ID); err != nil || request.RequestBody == nil {
				t.Errorf("attempt %d has the body %q, %v", rows[i].Attempt, request.RequestBody, err)
			}
		}
	})
}
