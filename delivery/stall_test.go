package delivery_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// A delivery that is due and has room is sent at once. Each of these tests is a case in
// which it once waited some seconds, for the next claim.

func limits(total, each int) func(*delivery.Settings) {
	return func(s *delivery.Settings) { s.Concurrency, s.ConcurrencyPerWebhook = total, each }
}

// A claim that found few slots free is followed by another when more are.
func TestClaimAfterSlotsWereScarce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const webhooks = 460 // of 512 slots
		endpoints := newEndpoints(status(500))
		r := run(t, flaky.New(), endpoints, func(s *delivery.Settings) {
			s.Retry = delivery.RetryPolicy{Attempts: 3, Delays: []time.Duration{2 * time.Minute}}
		})
		defer r.stop()
		for range webhooks {
			r.webhook("https://a.example")
		}
		r.emit(1)
		synctest.Wait()
		endpoints.answerWith(func(context.Context, sender.Message) sender.Response {
			time.Sleep(100 * time.Millisecond)
			return sender.Response{StatusCode: 500}
		})
		time.Sleep(5 * time.Minute)
		if n := endpoints.count(); n != 3*webhooks {
			t.Errorf("%d of %d requests, all of which were due", n, 3*webhooks)
		}
	})
}

// With one free slot the fast and the slow take turns, and neither waits while the other
// has nothing to send.
func TestOneFreeSlot(t *testing.T) {
	for _, total := range []int{2, 3, 4, 8, 15} {
		t.Run(fmt.Sprint(total), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const url = "https://a.example"
				endpoints := newEndpoints(after(10 * time.Millisecond))
				r := run(t, flaky.New(), endpoints, limits(total, total))
				defer r.stop()
				r.webhook(url)
				r.emit(1000)
				time.Sleep(10 * time.Minute)
				at := endpoints.to(url)
				if len(at) != 1000 {
					t.Fatalf("%d of 1000 requests", len(at))
				}
				for i := 1; i < len(at); i++ {
					if gap := at[i].Sub(at[i-1]); gap > time.Second {
						t.Errorf("no request was sent for %s while more were due", gap)
					}
				}
			})
		})
	}
}

// gate is a store whose answers can take a while, and whose Accept can fail.
type gate struct {
	*flaky.Store
	mu     sync.Mutex
	accept func() error
	claim  func()
}

func (g *gate) set(accept func() error, claim func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.accept, g.claim = accept, claim
}

func (g *gate) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	g.mu.Lock()
	accept := g.accept
	g.mu.Unlock()
	if accept == nil {
		return g.Store.Accept(ctx, batch)
	}
	err := accept()
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range results {
		results[i].Err = err
	}
	return results
}

func (g *gate) Claim(ctx context.Context, partition int, room delivery.Room) (delivery.Claimed, error) {
	claimed, err := g.Store.Claim(ctx, partition, room)
	g.mu.Lock()
	claim := g.claim
	g.mu.Unlock()
	if claim != nil {
		claim()
	}
	return claimed, err
}

// A claim may return the room that it was promised unused.
func TestEventDuringAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url, wayBack = "https://a.example", 2 * time.Millisecond
		g := &gate{Store: flaky.New()}
		endpoints := newEndpoints(after(900 * time.Millisecond))
		r := runOn(t, g, g.Store, endpoints)
		defer r.stop()
		r.webhook(url)
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		g.set(nil, func() { time.Sleep(wayBack) })
		r.emit(1)                                    // in flight until 5.4 s
		time.Sleep(500*time.Millisecond + wayBack/2) // the answer to the claim at 5 s is on its way
		began := time.Now()
		r.emit(1)
		time.Sleep(5 * time.Second)
		if late := endpoints.to(url)[1].Sub(began); late > 5*wayBack {
			t.Errorf("the event was sent %s late with 3 of 4 slots free", late)
		}
	})
}

// Slots that were taken for an Accept that failed are free for deliveries that fell due
// meanwhile.
func TestRetryDuringAFailingAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "https://a.example"
		g := &gate{Store: flaky.New()}
		endpoints := newEndpoints(status(500))
		r := runOn(t, g, g.Store, endpoints, func(s *delivery.Settings) {
			s.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Minute}}
		})
		defer r.stop()
		r.webhook(url)
		r.emit(1)
		time.Sleep(59 * time.Second)
		g.set(func() error {
			time.Sleep(1100 * time.Millisecond)
			return delivery.ErrUnavailable
		}, nil)
		events := make([]delivery.NewEvent, delivery.FirstWindow)
		for i := range events {
			events[i] = delivery.NewEvent{Type: "a", Data: []byte(`{}`)}
		}
		if _, err := r.Emit(t.Context(), tenant, events); err == nil {
			t.Fatal("the events were accepted")
		}
		time.Sleep(30 * time.Second)
		at := endpoints.to(url)
		if wait := at[1].Sub(at[0]); wait > 61*time.Second {
			t.Errorf("a retry came after %s, but was due after a minute, with slots free soon after", wait)
		}
	})
}

// An Accept whose answer was lost has stored its deliveries. Those that it has not
// leased are due at once.
func TestRepeatedAcceptIsSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lossy{Store: flaky.New(), carryOut: true}
		endpoints := newEndpoints(ok)
		r := runOn(t, store, store.Store, endpoints)
		defer r.stop()
		r.webhook("https://a.example")
		store.lose(1)
		r.emit(delivery.FirstWindow + 6)
		time.Sleep(time.Second)
		if n := endpoints.count(); n != 6 {
			t.Errorf("%d of the 6 deliveries without a lease were sent within a second", n)
		}
		time.Sleep(time.Minute)
		if n := endpoints.count(); n != delivery.FirstWindow+6 {
			t.Errorf("%d of %d were sent in the end", n, delivery.FirstWindow+6)
		}
	})
}

// Room that comes while a claim runs, which has left the webhook out, is used as soon as
// that claim ends.
func TestRoomDuringAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "https://a.example"
		g := &gate{Store: flaky.New()}
		endpoints := newEndpoints(after(1500 * time.Millisecond))
		r := runOn(t, g, g.Store, endpoints, limits(8, 1))
		defer r.stop()
		r.webhook(url)
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		g.set(nil, func() { time.Sleep(2 * time.Second) })
		r.emit(2) // one is in flight until 6 s; the claim at 5 s takes until 7 s
		time.Sleep(20 * time.Second)
		at := endpoints.to(url)
		if len(at) != 2 || at[1].Sub(at[0]) > 5*time.Second {
			t.Errorf("sent at %v, the second one with a slot free since 1.5 s after the first", at)
		}
	})
}

// A retry that falls due while a claim runs without it is overdue from then on, also when the
// claims that follow fail.
func TestRetryIsOverdueSinceDuringAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{Store: flaky.New()}
		r := runOn(t, g, g.Store, newEndpoints(status(500)), func(s *delivery.Settings) {
			s.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Second}}
		})
		defer r.stop()
		r.webhook("https://a.example")
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		g.set(nil, func() { time.Sleep(5 * time.Second) })
		time.Sleep(time.Second) // the answer to the claim at 5 s is on its way
		r.emit(1)
		g.Fail(failing("Claim", errLost))
		time.Sleep(3 * time.Minute)
		if overdue := r.PartitionsHealth()[0].Overdue; overdue < 2*time.Minute || overdue > 3*time.Minute {
			t.Errorf("nothing was claimed for 3 minutes, and the oldest delivery is overdue for %s", overdue)
		}
	})
}
