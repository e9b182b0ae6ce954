package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// runDivided runs an engine on a store of two partitions, with a webhook in each. The
// partition of tenant t1 is to fail.
func runDivided(t *testing.T, store *divided, endpoints *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	r := runOn(t, store, store.Store, endpoints, change...)
	for i := range store.parts {
		_, err := r.CreateWebhook(t.Context(), delivery.Webhook{
			Tenant: fmt.Sprint("t", i), URL: fmt.Sprintf("https://t%d.example", i), Enabled: true,
			EventTypes: []string{delivery.AllEventTypes},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *running) emitFor(tenant string, n int) error {
	events := make([]delivery.NewEvent, n)
	for i := range events {
		events[i] = delivery.NewEvent{Type: "alert_active", Data: []byte(`{}`)}
	}
	_, err := r.Emit(r.t.Context(), tenant, events)
	return err
}

// While a partition hangs, tenants of the others notice nothing: neither for new events,
// nor for those that wait in the store, nor for retries.
func TestPartitionThatHangs(t *testing.T) {
	for _, how := range []struct {
		name  string
		fault func(string) error
		emits int // events at a time
	}{
		{"hangs", hung, 20},
		{"refuses", func(string) error { return delivery.ErrUnavailable }, 20},
		{"takes in no outcomes", func(op string) error {
			if op == "Complete" {
				return hung(op)
			}
			return nil
		}, 1},
	} {
		t.Run(how.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, endpoints := newDivided(2), newEndpoints(after(10*time.Millisecond))
				// So few slots that most deliveries wait in the store, and those of the
				// one partition could take all.
				r := runDivided(t, store, endpoints, limits(8, 8))
				defer r.stop()
				for range 10 { // both are busy when it begins to fail
					go func() { _ = r.emitFor("t1", 20) }()
				}
				time.Sleep(20 * time.Millisecond)
				store.parts[1].Fail(how.fault)
				for range 600 {
					go func() { _ = r.emitFor("t1", how.emits) }() // whoever emits does not wait for the answer
					began := time.Now()
					if err := r.emitFor("t0", 10); err != nil {
						t.Fatal(err)
					}
					if took := time.Since(began); took > 0 {
						t.Fatalf("an emit to the other partition took %s", took)
					}
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(time.Second)
				if n := len(endpoints.to("https://t0.example")); n != 6000 {
					t.Errorf("%d of 6,000 were sent", n)
				}
				store.parts[1].Fail(nil)
				time.Sleep(time.Minute)
			})
		})
	}
}

// A partition that is back has all of its deliveries sent soon, those included that this
// process held when it went away.
func TestPartitionThatIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, endpoints := newDivided(2), newEndpoints(after(50*time.Millisecond))
		r := runDivided(t, store, endpoints, limits(8, 4))
		defer r.stop()
		if err := r.emitFor("t1", 200); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // now it has leased some ahead of its slots
		store.parts[1].Fail(func(string) error { return errLost })
		time.Sleep(10 * time.Second)
		store.parts[1].Fail(nil)
		before := len(endpoints.to("https://t1.example"))
		time.Sleep(2*time.Second + 200*50*time.Millisecond/4)
		if n := len(endpoints.to("https://t1.example")); n != 200 {
			t.Errorf("%d of 200 were sent, %d of them before it was back", n, before)
		}
	})
}

// Emits to a partition that is away do not gather for ever: they are refused, and told that nothing
// was written, while one of them at a time is tried.
func TestEmitsToAPartitionThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newDivided(2)
		r := runDivided(t, store, newEndpoints(ok))
		defer r.stop()
		store.parts[1].Fail(hung)
		tried, refused := make(chan error, 1000), 0
		for i := range 200 {
			go func() {
				began := time.Now()
				err := r.emitFor("t1", 1)
				if i > 50 && time.Since(began) == 0 {
					if !errors.Is(err, delivery.ErrUnavailable) {
						t.Errorf("refused with %v", err)
					}
					err = nil
				}
				tried <- err
			}()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		for range 200 {
			if err := <-tried; err == nil {
				refused++
			}
		}
		if refused < 145 {
			t.Errorf("%d of 200 emits were refused at once", refused)
		}
		store.parts[1].Fail(nil)
		time.Sleep(2 * time.Second)
		if err := r.emitFor("t1", 1); err != nil {
			t.Errorf("after it is back: %v", err)
		}
	})
}

// Health says which partition does not do what, after some seconds, and the log says it
// once. Both say when it is over.
func TestHealthOfPartitions(t *testing.T) {
	for _, task := range []struct{ op, says string }{
		{"Accept", "the store has accepted no events for "},
		{"Ping", "the store has accepted no events for "},
		{"Claim", "the store has handed out no due deliveries for "},
		{"Complete", "the store has taken in no outcomes of requests for "},
	} {
		t.Run(task.op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newDivided(2)
				logged, log := observer.New(zap.InfoLevel)
				r := runDivided(t, store, newEndpoints(ok))
				defer r.stop()
				defer r.Attach(delivery.DefaultSettings(), zap.New(logged))()
				if err := r.emitFor("t1", 1); err != nil {
					t.Fatal(err)
				}
				store.parts[1].Fail(func(op string) error {
					if op == task.op || task.op == "Accept" && op == "Ping" {
						return errors.New("the reason")
					}
					return nil
				})
				for range 40 {
					go func() { _ = r.emitFor("t0", 1) }()
					if task.op != "Ping" {
						go func() { _ = r.emitFor("t1", 1) }()
					}
					time.Sleep(time.Second)
				}
				err := r.Health(t.Context())
				if err == nil {
					t.Fatal("healthy")
				}
				for _, part := range []string{task.says, "partition 1 of 2", "the reason"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("health does not say %q: %v", part, err)
					}
				}
				if up := r.PartitionsHealth(); !up[0].Up || up[1].Up {
					t.Errorf("the partitions: %+v", up)
				}
				store.parts[1].Fail(nil)
				time.Sleep(10 * time.Second)
				if err := r.Health(t.Context()); err != nil {
					t.Errorf("after it works again: %v", err)
				}
				var lines []string
				for _, line := range log.All() {
					lines = append(lines, line.Message)
				}
				if got := strings.Join(lines, "; "); got != "the store does not do its work; the store does its work again" {
					t.Errorf("the log says: %s", got)
				}
			})
		})
	}
}

// A failure that passes within some seconds is none that health or the log speak of.
func TestHealthDuringAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newDivided(1)
		logged, log := observer.New(zap.InfoLevel)
		r := runDivided(t, store, newEndpoints(ok))
		defer r.stop()
		defer r.Attach(delivery.DefaultSettings(), zap.New(logged))()
		for range 10 {
			store.parts[0].Fail(func(string) error { return errLost })
			for range 4 {
				time.Sleep(time.Second)
				if err := r.Health(t.Context()); err != nil {
					t.Error(err)
				}
			}
			store.parts[0].Fail(nil)
			time.Sleep(4 * time.Second)
		}
		if n := log.Len(); n > 0 {
			t.Errorf("the log says: %v", log.All())
		}
	})
}

// runBusy emits ten events for a webhook whose endpoint takes one request at a time, and a minute
// for each.
func runBusy(t *testing.T, store *divided) *running {
	t.Helper()
	r := runDivided(t, store, newEndpoints(after(time.Minute)), limits(4, 1), func(s *delivery.Settings) {
		s.Timeout = 2 * time.Minute
	})
	if err := r.emitFor("t0", 10); err != nil {
		t.Fatal(err)
	}
	return r
}

// Deliveries that are due, and could be sent, are noticed when nobody sends them.
func TestOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newDivided(1)
		r := runBusy(t, store)
		defer r.stop()
		time.Sleep(5 * time.Minute)
		if overdue := r.PartitionsHealth()[0].Overdue; overdue > 0 {
			t.Errorf("deliveries that wait for their own webhook are overdue for %s", overdue)
		}
		if err := r.Health(t.Context()); err != nil {
			t.Error(err)
		}
		store.parts[0].Fail(failing("Claim", errLost))
		time.Sleep(3 * time.Minute)
		if overdue := r.PartitionsHealth()[0].Overdue; overdue < time.Minute {
			t.Errorf("nothing was claimed for 3 minutes, and the oldest delivery is overdue for %s", overdue)
		}
	})
}

// A delivery that has room again while a claim runs without it is due from then on, also when
// the claims that follow fail.
func TestOverdueSinceDuringAClaim(t *testing.T) {
	for name, claim := range map[string]error{"a claim that succeeds": nil, "a claim that fails": errLost} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newDivided(1)
				r := runBusy(t, store)
				defer r.stop()
				time.Sleep(time.Minute - time.Second)
				store.parts[0].Fail(func(op string) error {
					if op != "Claim" {
						return nil
					}
					time.Sleep(5 * time.Second) // the first request ends meanwhile
					store.parts[0].Fail(failing("Claim", errLost))
					return claim
				})
				time.Sleep(3 * time.Minute)
				if overdue := r.PartitionsHealth()[0].Overdue; overdue < time.Minute {
					t.Errorf("nothing was claimed for 3 minutes, and the oldest delivery is overdue for %s", overdue)
				}
			})
		})
	}
}

// Slots of requests that time out while their partition takes in no outcomes are there for
// the others.
func TestSlotsOfAPartitionThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newDivided(2)
		endpoints := newEndpoints(func(ctx context.Context, m sender.Message) sender.Response {
			if m.URL == "https://t1.example" {
				return hang(ctx, m)
			}
			return ok(ctx, m)
		})
		r := runDivided(t, store, endpoints, limits(delivery.FirstWindow, delivery.FirstWindow))
		defer r.stop()
		if err := r.emitFor("t1", delivery.FirstWindow); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		store.parts[1].Fail(hung)
		time.Sleep(10 * time.Second) // all requests have timed out
		began := time.Now()
		if err := r.emitFor("t0", 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if at := endpoints.to("https://t0.example"); len(at) != 1 || at[0].Sub(began) > time.Second {
			t.Errorf("the other partition's event of %v was sent at %v", began, at)
		}
		store.parts[1].Fail(nil)
		time.Sleep(time.Minute)
	})
}

// Health stays as it is while events are refused, although the store says that it would
// accept them.
func TestHealthIsNotTakenIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newDivided(1)
		logged, log := observer.New(zap.InfoLevel)
		r := runDivided(t, store, newEndpoints(ok))
		defer r.stop()
		defer r.Attach(delivery.DefaultSettings(), zap.New(logged))()
		store.parts[0].Fail(failing("Accept", delivery.ErrFull))
		for i := range 60 {
			_ = r.emitFor("t0", 1)
			time.Sleep(500 * time.Millisecond)
			if err := r.Health(t.Context()); err == nil && i > 10 {
				t.Fatalf("healthy after %d refusals", i)
			}
		}
		store.parts[0].Fail(nil)
		time.Sleep(5 * time.Second) // nobody emits: the store is asked
		if err := r.Health(t.Context()); err != nil {
			t.Error(err)
		}
		if log.Len() != 2 {
			t.Errorf("the log says: %v", log.All())
		}
	})
}

// A partition that has nothing due is not overdue while others take all slots.
func TestOverdueOfAnIdlePartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newDivided(2)
		r := runDivided(t, store, newEndpoints(after(time.Second)), limits(4, 4))
		defer r.stop()
		for range 400 {
			if err := r.emitFor("t0", 4); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond)
			if overdue := r.PartitionsHealth()[1].Overdue; overdue > 0 {
				t.Fatalf("a partition with nothing due is overdue for %s", overdue)
			}
		}
	})
}
