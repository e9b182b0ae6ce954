package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// slowReader is a store that takes a second to read webhooks of one tenant.
type slowReader struct {
	*flaky.Store
	slow string
}

func (s *slowReader) wait(tenant string) {
	if tenant == s.slow {
		time.Sleep(time.Second)
	}
}

func (s *slowReader) WebhookPage(ctx context.Context, tenant, after string) (delivery.WebhookPage, error) {
	s.wait(tenant)
	return s.Store.WebhookPage(ctx, tenant, after)
}

func (s *slowReader) WebhookChanges(ctx context.Context, tenant string, since int64) (delivery.WebhookChanges, error) {
	s.wait(tenant)
	return s.Store.WebhookChanges(ctx, tenant, since)
}

// While the webhooks of one tenant are read, the emits of others go on, and take no time.
func TestReadingHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &slowReader{Store: flaky.New()}
		r := runOn(t, store, store.Store, newEndpoints(ok))
		defer r.stop()
		w := r.webhook("https://a.example")
		if err := r.emitFor("other", 1); err != nil {
			t.Fatal(err)
		}
		store.slow = tenant
		for i := range 10 {
			if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Description = fmt.Sprint(i) }); err != nil {
				t.Fatal(err)
			}
			large := make(chan error)
			go func() { large <- r.emitFor(tenant, 1) }()
			synctest.Wait()
			for range 3 {
				began := time.Now()
				if err := r.emitFor("other", 1); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took > 0 {
					t.Fatalf("another tenant's emit took %s", took)
				}
			}
			if err := <-large; err != nil {
				t.Errorf("the emit itself: %v", err)
			}
		}
	})
}

// A change is read, and not all that has not changed.
func TestChangesAreReadAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		for i := range 3 * delivery.MaxWebhookPage {
			r.webhook(fmt.Sprintf("https://%d.example", i))
		}
		r.emit(1)
		pages := r.store.Calls("WebhookPage")
		for i := range 10 {
			w := r.webhook(fmt.Sprintf("https://new%d.example", i))
			if n := r.emit(1)[0].Deliveries; n != 3*delivery.MaxWebhookPage+1 {
				t.Errorf("%d deliveries after one was added", n)
			}
			if err := r.DeleteWebhook(t.Context(), w.Ref()); err != nil {
				t.Fatal(err)
			}
			if n := r.emit(1)[0].Deliveries; n != 3*delivery.MaxWebhookPage {
				t.Errorf("%d deliveries after one was deleted", n)
			}
		}
		if n := r.store.Calls("WebhookPage"); n != pages {
			t.Errorf("all webhooks were read, in %d pages", n-pages)
		}
		changes, single := r.store.Calls("WebhookChanges"), r.store.Calls("WebhooksOf")
		r.emit(10)
		if r.store.Calls("WebhookChanges") != changes || r.store.Calls("WebhooksOf") != single {
			t.Error("webhooks are read although nothing has changed")
		}
		synctest.Wait()
	})
}

// busyTenant is a store in which a webhook changes just before each of some Accepts.
type busyTenant struct {
	*flaky.Store
	left  atomic.Int64
	touch func()
}

func (s *busyTenant) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	if s.left.Add(-1) >= 0 {
		s.touch()
	}
	return s.Store.Accept(ctx, batch)
}

// A tenant whose webhooks change all the time gets its own events through, and holds up nobody.
func TestEmitWhileWebhooksChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &busyTenant{Store: flaky.New()}
		r := runOn(t, store, store.Store, newEndpoints(ok))
		defer r.stop()
		w := r.webhook("https://a.example")
		n := 0
		store.touch = func() { // as another process does
			n++
			changed, version, err := store.Webhook(t.Context(), w.Ref())
			if err != nil {
				t.Error(err)
			}
			changed.URL = fmt.Sprintf("https://a.example/%d", n)
			if err := store.UpdateWebhook(t.Context(), changed, version); err != nil {
				t.Error(err)
			}
		}
		store.left.Store(50)
		r.emit(1)
		synctest.Wait()
		if n := len(r.sender.to("https://a.example/50")); n != 1 {
			t.Errorf("%d requests to the webhook's last URL", n)
		}
		if n := r.IntakeInUse(); n != 0 {
			t.Errorf("%d bytes of the intake are in use afterwards", n)
		}
	})
}

// Nobody waits for an emit any more whose targets are out of date.
func TestStaleEmitThatNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.store.Fail(func(op string) error {
			if op != "Accept" {
				return nil
			}
			time.Sleep(time.Second)
			return delivery.ErrStale
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.Emit(ctx, tenant, oneEvent); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the emit: %v", err)
		}
		time.Sleep(time.Minute)
		if n := r.IntakeInUse(); n != 0 {
			t.Errorf("%d bytes of the intake are in use for nobody", n)
		}
	})
}

// Webhooks that are too large to be remembered all are sent to all the same, and by their present
// URLs.
func TestWebhooksThatAreNotRemembered(t *testing.T) {
	for _, single := range []int{0, 5000, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			const n = 250
			store := flaky.New()
			r := run(t, store, newEndpoints(ok), limits(512, 32))
			defer r.stop()
			r.RememberLittle(10_000, single)
			other := run(t, store, newEndpoints(ok))
			defer other.stop()
			other.detach() // it only changes webhooks
			all := make([]*delivery.Webhook, n)
			for i := range all {
				all[i] = r.webhook(fmt.Sprintf("https://%d.example/%s", i, strings.Repeat("u", 1000)))
			}
			for round := range 3 {
				w := all[round]
				if _, err := other.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.URL += "/changed" }); err != nil {
					t.Fatal(err)
				}
				if got := r.emit(2)[1].Deliveries; got != n {
					t.Fatalf("%d deliveries, want %d", got, n)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := r.sender.count(); got != 2*n*(round+1) {
					t.Fatalf("after round %d there were %d requests, want %d", round, got, 2*n*(round+1))
				}
				if got := len(r.sender.to(w.URL + "/changed")); got != 2 {
					t.Errorf("%d requests to the changed URL", got)
				}
			}
			if reads := store.Calls("WebhooksOf"); single == 1<<20 && reads > 12 {
				t.Errorf("single webhooks were read %d times, although they are remembered", reads)
			}
		})
	}
}

// An emit whose webhooks cannot be read promises that nothing was written, and takes no room.
func TestWebhooksThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.store.Fail(failing("WebhookPage", errLost))
		events := []delivery.NewEvent{{ID: uuid.New(), Type: "a", Data: []byte(`{}`)}}
		for range 100 {
			if _, err := r.Emit(t.Context(), tenant, events); !errors.Is(err, delivery.ErrUnavailable) || !errors.Is(err, errLost) {
				t.Errorf("got %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := r.Health(t.Context()); err == nil {
			t.Error("the engine is healthy")
		}
		if n := r.IntakeInUse(); n != 0 {
			t.Errorf("%d bytes of the intake are in use", n)
		}
		r.store.Fail(nil)
		if receipts, err := r.Emit(t.Context(), tenant, events); err != nil || receipts[0].Duplicate {
			t.Errorf("got %+v, %v", receipts, err)
		}
	})
}

// What keeps the webhooks of one tenant from being read, and those of no other, holds up nobody
// else's events.
func TestUnreadableWebhooksHoldUpNobodyElse(t *testing.T) {
	for name, fault := range map[string]error{
		"their key is missing":     fmt.Errorf("partition 0: %w", &encryption.MissingKeyError{What: "a secret"}),
		"they change all the time": delivery.ErrStale,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &unreadable{slowReader: slowReader{Store: flaky.New(), slow: tenant}, fault: fault}
				r := runOn(t, store, store.Store, newEndpoints(ok))
				defer r.stop()
				if err := r.emitFor("other", 1); err != nil {
					t.Fatal(err)
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					for range 40 {
						if err := r.emitFor(tenant, 1); !errors.Is(err, delivery.ErrUnavailable) {
							t.Errorf("the emit itself: %v", err)
						}
					}
				}()
				for range 5 {
					time.Sleep(7500 * time.Millisecond)
					if err := r.Health(t.Context()); err != nil {
						t.Errorf("health: %v", err)
					}
					if err := r.emitFor("another", 1); err != nil {
						t.Errorf("another tenant's emit: %v", err)
					}
				}
				<-done
			})
		})
	}
}

// unreadable is a slowReader that does not get the webhooks in the end.
type unreadable struct {
	slowReader

	fault error
}

func (s *unreadable) WebhookPage(ctx context.Context, of, after string) (delivery.WebhookPage, error) {
	page, err := s.slowReader.WebhookPage(ctx, of, after)
	if of == tenant {
		err = s.fault
	}
	return page, err
}
