package delivery_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// Several processes share a store. Endpoints fail and hang at random, the store loses
// answers, and processes end. Nothing that was accepted is lost, and no delivery has
// two attempts at a time.
func TestManyProcessesLoseNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProcesses(t, &chance{random: rand.New(rand.NewPCG(seed, seed))})
				const webhooks = 4
				for i := range webhooks {
					p.running[0].webhook(fmt.Sprintf("https://%d.example", i))
				}
				accepted := p.emitWhileTheyEnd(t)
				time.Sleep(20 * time.Minute)
				p.store.Fail(nil)
				time.Sleep(20 * time.Minute)
				for _, id := range accepted {
					wantDelivered(t, p.running[0], id, webhooks)
				}
				for _, r := range p.running {
					r.stop()
				}
			})
		})
	}
}

// chance draws random numbers, for several goroutines.
type chance struct {
	mu     sync.Mutex
	random *rand.Rand
}

// float is at least 0 and below 1.
func (c *chance) float() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.Float64()
}

func (c *chance) below(n int) int { return int(c.float() * float64(n)) }

func (c *chance) upTo(d time.Duration) time.Duration { return time.Duration(c.float() * float64(d)) }

// processes are engines on one store, which fails at random, as the endpoints do.
type processes struct {
	chance    *chance
	store     *flaky.Store
	endpoints *endpoints
	running   []*running
}

func newProcesses(t *testing.T, c *chance) *processes {
	t.Helper()
	p := &processes{chance: c, store: flaky.New(), endpoints: newEndpoints(oneAtATime(t, unreliable(c)))}
	p.store.Fail(func(op string) error {
		if op != "Open" && op != "CreateWebhook" && op != "Close" && c.float() < 0.02 {
			return errLost
		}
		return nil
	})
	for range 3 {
		p.running = append(p.running, p.start(t))
	}
	return p
}

func (p *processes) start(t *testing.T) *running {
	t.Helper()
	return run(t, p.store, p.endpoints, limits(12, 5))
}

// emitWhileTheyEnd emits events at any of the processes, each of which may end and be
// replaced at any time. It returns the ids of the events that were accepted.
func (p *processes) emitWhileTheyEnd(t *testing.T) (accepted []uuid.UUID) {
	t.Helper()
	for range 120 {
		r := p.running[p.chance.below(len(p.running))]
		receipts, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
		if err == nil {
			accepted = append(accepted, receipts[0].EventID)
		}
		time.Sleep(p.chance.upTo(200 * time.Millisecond))
		if p.chance.float() < 0.02 {
			i := p.chance.below(len(p.running))
			p.running[i].stop()
			p.running[i] = p.start(t)
		}
	}
	return accepted
}

// unreliable answers after a while, and sometimes fails or hangs.
func unreliable(c *chance) responder {
	return func(ctx context.Context, m sender.Message) sender.Response {
		switch f := c.float(); {
		case f < 0.05:
			return hang(ctx, m)
		case f < 0.3:
			return status(503)(ctx, m)
		default:
			return after(c.upTo(2*time.Second))(ctx, m)
		}
	}
}

// oneAtATime checks that no delivery has two requests in flight.
func oneAtATime(t *testing.T, respond responder) responder {
	var mu sync.Mutex
	inFlight := make(map[string]bool)
	return func(ctx context.Context, m sender.Message) sender.Response {
		key := m.URL + string(m.Body)
		mu.Lock()
		if inFlight[key] {
			t.Errorf("a delivery has two requests in flight")
		}
		inFlight[key] = true
		mu.Unlock()
		defer func() {
			mu.Lock()
			delete(inFlight, key)
			mu.Unlock()
		}()
		return respond(ctx, m)
	}
}

// wantDelivered checks that an event has so many deliveries, none of which is pending.
func wantDelivered(t *testing.T, r *running, event uuid.UUID, want int) {
	t.Helper()
	_, deliveries, err := r.Event(t.Context(), tenant, event)
	if err != nil || len(deliveries) != want {
		t.Fatalf("event %s: %d deliveries, %v", event, len(deliveries), err)
	}
	for _, d := range deliveries {
		if d.Status == delivery.DeliveryPending {
			t.Errorf("event %s: delivery %+v", event, d)
		}
	}
}
