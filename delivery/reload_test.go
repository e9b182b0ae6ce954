package delivery_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// late is a store whose operations take time.
type late struct {
	*flaky.Store
	open, accept time.Duration
}

func (l *late) Open(ctx context.Context) error {
	select {
	case <-time.After(l.open):
		return l.Store.Open(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *late) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	results := l.Store.Accept(ctx, batch)
	time.Sleep(l.accept)
	return results
}

var oneEvent = []delivery.NewEvent{{Type: "alert_active", Data: []byte(`{}`)}}

// The first calls wait for the store to be opened, so that a reload to another store
// refuses none. They do not wait for ever.
func TestFirstCallsWaitForTheStore(t *testing.T) {
	emit := func(r *running) (took time.Duration, err error) {
		began := time.Now()
		_, err = r.Emit(r.t.Context(), tenant, oneEvent)
		return time.Since(began), err
	}
	for name, test := range map[string]struct {
		open, took time.Duration
		fault, err error
	}{
		"opened":   {open: time.Second, took: time.Second},
		"refused":  {open: time.Second, took: time.Second, fault: delivery.ErrUnavailable, err: delivery.ErrUnavailable},
		"silent":   {open: time.Minute, took: 5 * time.Second, err: delivery.ErrUnavailable},
		"detached": {open: time.Minute, took: 2 * time.Second, err: delivery.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &late{Store: flaky.New(), open: test.open}
				store.Fail(failing("Open", test.fault))
				r := runOn(t, store, store.Store, newEndpoints(ok))
				if name == "detached" {
					time.AfterFunc(test.took, r.stop)
				} else {
					defer r.stop()
				}
				if took, err := emit(r); took != test.took || !errors.Is(err, test.err) {
					t.Errorf("got %v after %s, want %v after %s", err, took, test.err, test.took)
				}
			})
		})
	}
}

// An engine is detached while an Accept gives it leases. It hands them back, so that the
// next engine can deliver at once.
func TestLeasesOfAnAcceptDuringDetach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &late{Store: flaky.New()}
		sender := newEndpoints(ok)
		first := runOn(t, store, store.Store, sender)
		first.webhook("https://a.example")
		store.accept = time.Second
		go func() { _, _ = first.Emit(t.Context(), tenant, oneEvent) }()
		synctest.Wait()
		first.detach()
		time.Sleep(store.accept)
		synctest.Wait()
		if n := sender.count(); n != 0 {
			t.Errorf("%d requests by an engine that is detached", n)
		}
		second := run(t, store.Store, sender)
		defer second.stop()
		if n := sender.count(); n != 1 {
			t.Errorf("the next engine sent %d requests at once, want 1", n)
		}
		if err := first.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A lease that was taken before the timeout was raised is too short for a request: the
// delivery is claimed again at once.
func TestRaisedTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &late{Store: flaky.New()}
		sender := newEndpoints(ok)
		r := runOn(t, store, store.Store, sender)
		defer r.stop()
		r.webhook("https://a.example")
		store.accept = time.Second
		go func() { _, _ = r.Emit(t.Context(), tenant, oneEvent) }()
		synctest.Wait()
		raised := delivery.DefaultSettings()
		raised.Timeout = time.Minute
		defer r.Attach(raised, nopLog)()
		time.Sleep(2 * time.Second)
		if n := sender.count(); n != 1 {
			t.Errorf("%d requests at once, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		if n := sender.count(); n != 1 {
			t.Errorf("%d requests in the end, want 1", n)
		}
	})
}

// A process can end although the store does not take its outcomes.
func TestStopWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		r.webhook("https://a.example")
		r.store.Fail(failing("Complete", delivery.ErrUnavailable))
		r.emit(1)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		r.detach()
		if err := r.Close(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("stopping took %s", took)
		}
	})
}

// closing is a sender that notes that it was closed.
type closing struct {
	*endpoints
	name   int
	closed *[]int
}

func (c closing) Close() { *c.closed = append(*c.closed, c.name) }

// A sender is closed once no attached settings use it. It stays open while others are in
// force for a time.
func TestSendersOfSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []int
		e := delivery.NewEngine(flaky.New())
		e.SendFrom(func(c *sender.Config) delivery.Sender {
			return closing{newEndpoints(ok), c.Concurrency, &closed}
		})
		attach := func(concurrency int) (detach func()) {
			s := delivery.DefaultSettings()
			s.Concurrency, s.ConcurrencyPerWebhook = concurrency, 1
			return e.Attach(s, nopLog)
		}
		want := func(names ...int) {
			t.Helper()
			if !slices.Equal(closed, names) {
				t.Errorf("the senders %v were closed, want %v", closed, names)
			}
		}
		first := attach(1)
		attach(2)() // rolled back
		want(2)
		same := attach(1)
		first()
		want(2)
		third := attach(3)
		same()
		want(2, 1)
		third()
		want(2, 1, 3)
		again := attach(3)
		again()
		want(2, 1, 3, 3)
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A reload drops connections only if it changes something that the sender reads.
func TestReloadKeepsConnections(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*delivery.Settings)
		kept   bool
	}{
		{"nothing", func(*delivery.Settings) {}, true},
		{"headers", func(s *delivery.Settings) {
			s.SignatureHeader, s.StandardWebhooks, s.UserAgent = "X-Sig", true, "other"
		}, true},
		{"retry", func(s *delivery.Settings) { s.Retry.Attempts = 5 }, true},
		{"timeout", func(s *delivery.Settings) { s.Timeout++ }, true},
		{"concurrency per webhook", func(s *delivery.Settings) { s.ConcurrencyPerWebhook-- }, true},
		{"retention", func(s *delivery.Settings) { s.Retention *= 2 }, true},
		{"max_response_size", func(s *delivery.Settings) { s.MaxResponseSize = 1 }, true},
		{"concurrency", func(s *delivery.Settings) { s.Concurrency++ }, false},
		{"destinations", func(s *delivery.Settings) { s.Destinations.AllowHTTP = true }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				senders := 0
				e := delivery.NewEngine(flaky.New())
				e.SendFrom(func(*sender.Config) delivery.Sender {
					senders++
					return newEndpoints(ok)
				})
				first := e.Attach(delivery.DefaultSettings(), nopLog)
				changed := delivery.DefaultSettings()
				tc.change(&changed)
				second := e.Attach(changed, nopLog)
				first()
				second()
				if (senders == 1) != tc.kept {
					t.Errorf("two configurations had %d senders", senders)
				}
				if err := e.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
