package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// limited makes a webhook with a rate.
func (r *running) limited(url string, requests int, per time.Duration) *delivery.Webhook {
	r.t.Helper()
	w, err := r.CreateWebhook(r.t.Context(), delivery.Webhook{
		Tenant: tenant, URL: url, Enabled: true, EventTypes: []string{delivery.AllEventTypes},
		RateLimit: &delivery.RateLimit{Requests: requests, Per: per},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// wantSpaced checks that so many requests began at least so far apart, and that few starts were
// lost between them.
func wantSpaced(t *testing.T, at []time.Time, n int, apart time.Duration) {
	t.Helper()
	if len(at) != n {
		t.Fatalf("%d requests, want %d", len(at), n)
	}
	slices.SortFunc(at, time.Time.Compare)
	for i := range at[1:] {
		if got := at[i+1].Sub(at[i]); got < apart {
			t.Errorf("request %d began %s after the one before, want %s", i+1, got, apart)
		}
	}
	if took, most := at[n-1].Sub(at[0]), time.Duration(n-1)*apart*11/10+200*time.Millisecond; took > most {
		t.Errorf("the requests took %s, want %s at most", took, most)
	}
}

// TestRate has two processes send to webhooks with rates and to one without. The requests are
// evenly spaced, of both together, and the one without waits for nothing.
func TestRate(t *testing.T) {
	for _, rate := range []struct {
		requests int
		per      time.Duration
		events   int
	}{{10, time.Second, 60}, {1000, time.Second, 2000}, {4, time.Hour, 8}, {7, time.Second, 20}} {
		t.Run(fmt.Sprint(rate.requests, " in ", rate.per), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, endpoints := flaky.New(), newEndpoints(after(3*time.Millisecond))
				processes := []*running{run(t, store, endpoints), run(t, store, endpoints)}
				const url, other = "https://limited.example", "https://other.example"
				processes[0].limited(url, rate.requests, rate.per)
				processes[0].webhook(other)
				began := time.Now()
				for i := range rate.events {
					processes[i%2].emit(1)
				}
				time.Sleep(5 * time.Second)
				for _, at := range endpoints.to(other) {
					if late := at.Sub(began); late > 4*time.Second {
						t.Errorf("a request of a webhook without a rate began after %s", late)
					}
				}
				if n := len(endpoints.to(other)); n != rate.events {
					t.Errorf("%d requests of a webhook without a rate, want %d", n, rate.events)
				}
				apart := rate.per / time.Duration(rate.requests)
				time.Sleep(2 * time.Duration(rate.events) * apart)
				wantSpaced(t, endpoints.to(url), rate.events, apart)
				for _, p := range processes {
					if err := p.Health(t.Context()); err != nil {
						t.Errorf("health: %v", err)
					}
					p.stop()
				}
			})
		})
	}
}

// TestRateCounts has re-runs and tests take starts without waiting, and retries wait for theirs.
func TestRateCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, endpoints := flaky.New(), newEndpoints(status(503))
		r := run(t, store, endpoints, func(s *delivery.Settings) {
			s.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Second}}
		})
		defer r.stop()
		const url = "https://limited.example"
		w := r.limited(url, 1, time.Minute)
		began := time.Now()
		r.emit(1)
		time.Sleep(10 * time.Second)
		want := []time.Duration{0, 10 * time.Second, 10 * time.Second, 3 * time.Minute}
		if _, err := r.Rerun(t.Context(), tenant, r.log()[0].ID); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		if err := r.Health(t.Context()); err != nil {
			t.Errorf("health: %v", err)
		}
		time.Sleep(170*time.Second + 500*time.Millisecond) // until the retry
		at := endpoints.to(url)
		for i, want := range want {
			if i >= len(at) || at[i].Sub(began).Round(100*time.Millisecond) != want {
				t.Fatalf("the requests began at %v, want them after %v", at, want)
			}
		}
		wait := func() time.Duration {
			t.Helper()
			from, n := time.Now(), len(endpoints.to(url))
			r.emit(1)
			for len(endpoints.to(url)) == n && time.Since(from) < time.Hour {
				time.Sleep(10 * time.Millisecond)
			}
			return time.Since(from)
		}
		if waited := wait(); waited < 59*time.Second || waited > 61*time.Second {
			t.Errorf("the next event waited for %s, want the minute of the retry", waited)
		}
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.RateLimit = nil }); err != nil {
			t.Fatal(err)
		}
		if waited := wait(); waited > 100*time.Millisecond {
			t.Errorf("without a rate an event waited for %s", waited)
		}
	})
}

// TestRateHoldsNoSlots has many webhooks with rates and long backlogs, and few slots: what waits for
// its start keeps none from the others.
func TestRateHoldsNoSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endpoints := newEndpoints(after(5 * time.Millisecond))
		r := run(t, flaky.New(), endpoints, limits(8, 4))
		defer r.stop()
		for i := range 40 {
			r.limited(fmt.Sprintf("https://%d.example", i), 1+i%20, time.Second)
		}
		for range 20 {
			r.emit(10)
		}
		time.Sleep(time.Second)
		const url = "https://other.example"
		r.webhook(url)
		for range 30 {
			emitted, n := time.Now(), len(endpoints.to(url))
			r.emit(1)
			for len(endpoints.to(url)) == n {
				time.Sleep(time.Millisecond)
			}
			if waited := time.Since(emitted); waited > 100*time.Millisecond {
				t.Errorf("an event waited for %s for a slot", waited)
			}
			time.Sleep(170 * time.Millisecond)
		}
		for i := range 40 {
			wantNoSooner(t, endpoints.to(fmt.Sprintf("https://%d.example", i)), time.Second/time.Duration(1+i%20))
		}
	})
}

func wantNoSooner(t *testing.T, at []time.Time, apart time.Duration) {
	t.Helper()
	if len(at) < 2 {
		t.Fatalf("%d requests", len(at))
	}
	// One start and the one behind it may both be late.
	if most := int(at[len(at)-1].Sub(at[0])/apart) + 2; len(at) > most {
		t.Errorf("%d requests in %s, want %d at most", len(at), at[len(at)-1].Sub(at[0]), most)
	}
}

// TestRateOfSlowWebhook has a webhook with a rate time out, and respond again: it gets requests at
// its rate all the while.
func TestRateOfSlowWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endpoints := newEndpoints(hang)
		r := run(t, flaky.New(), endpoints)
		defer r.stop()
		const url = "https://limited.example"
		r.limited(url, 2, time.Minute)
		r.emit(20)
		time.Sleep(5*time.Minute - time.Second)
		if n := len(endpoints.to(url)); n < 9 || n > 10 {
			t.Errorf("%d requests in 5 minutes to an endpoint that hangs, want 10", n)
		}
		endpoints.answerWith(ok)
		time.Sleep(5 * time.Minute)
		wantSpaced(t, endpoints.to(url), 20, 30*time.Second)
	})
}

// TestRateWithoutSlots has others take all slots before a start comes: what is much too late goes
// back to the store, and is sent at a later start.
func TestRateWithoutSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url, other = "https://limited.example", "https://other.example"
		var released atomic.Int32
		store := flaky.New()
		endpoints := newEndpoints(func(ctx context.Context, m sender.Message) sender.Response {
			if m.URL == url {
				return ok(ctx, m)
			}
			return after(3*time.Second)(ctx, m)
		})
		store.Fail(func(operation string) error {
			if operation == "Release" {
				released.Add(1)
			}
			return nil
		})
		r := run(t, store, endpoints, limits(2, 2))
		defer r.stop()
		r.limited(url, 1, time.Second)
		r.emit(2)
		time.Sleep(990 * time.Millisecond) // the second one is claimed, and its start comes
		r.webhook(other)
		r.emit(2)
		time.Sleep(2 * time.Second)
		if n, m := len(endpoints.to(url)), len(endpoints.to(other)); n != 1 || m != 2 || released.Load() != 0 {
			t.Errorf("%d and %d requests while there are no slots, and %d calls that gave back; want 1, 2, and 0", n, m, released.Load())
		}
		time.Sleep(time.Minute)
		if released.Load() == 0 {
			t.Error("what was late was not given back")
		}
		wantNoSooner(t, endpoints.to(url), time.Second)
		if n, m := len(endpoints.to(url)), len(endpoints.to(other)); n != 4 || m != 2 {
			t.Errorf("%d and %d requests, want 4 and 2", n, m)
		}
	})
}

// TestRateWhenProcessesEnd ends the process that holds a delivery for its start: another one sends
// it, at a later start.
func TestRateWhenProcessesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, endpoints := flaky.New(), newEndpoints(ok)
		first := run(t, store, endpoints)
		const url = "https://limited.example"
		w := first.limited(url, 20, time.Second)
		first.emit(10)
		synctest.Wait()
		second := run(t, store, endpoints)
		first.stop()
		defer second.stop()
		time.Sleep(time.Minute)
		wantSpaced(t, endpoints.to(url), 10, 50*time.Millisecond)
		if pending, err := store.WebhookPending(t.Context(), tenant, []uuid.UUID{w.ID}); err != nil || pending[0] != 0 {
			t.Errorf("%v deliveries are pending, %v", pending, err)
		}
	})
}
