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
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

const (
	orderedURL = "https://ordered.example"
	plainURL   = "https://plain.example"
	stuckKey   = "stuck" // all of its requests fail
	stuck      = 40      // events of that key, which take 18 minutes
)

// TestOrderHolds has several processes share a store, with a webhook that has an order and one that
// has none. Endpoints fail and hang, the store loses answers, processes are killed, replaced and
// reloaded, the webhook is disabled, and admins cancel, erase, run again and replay what they like.
// Of each key, deliveries are sent in the order of acceptance, one at a time; and neither other keys
// nor the other webhook wait for one that fails and fails.
func TestOrderHolds(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testOrderHolds(t, seed) })
		})
	}
}

func testOrderHolds(t *testing.T, seed uint64) {
	o := newOrderTest(t, seed)
	var acting sync.WaitGroup
	emitting, end := context.WithCancel(t.Context())
	defer end()
	for _, keys := range [][]string{{"a", "b", "free"}, {"c", "", "free two"}} {
		acting.Go(func() {
			for range 90 {
				o.emit(keys[o.below(3)], keys[o.below(3)], keys[o.below(3)])
				time.Sleep(o.upTo(2 * time.Second))
			}
			end()
		})
	}
	acting.Go(func() { o.endProcesses(emitting) })
	acting.Go(func() { o.intervene(emitting) })
	acting.Wait()
	time.Sleep(8 * time.Minute)
	if _, pending := o.pending(); pending[stuckKey] == 0 || len(pending) > 1 {
		t.Errorf("pending deliveries by key are %v, want only those of %q", pending, stuckKey)
	}
	time.Sleep(30 * time.Minute)
	if all, pending := o.pending(); len(pending) > 0 || all == 0 {
		t.Errorf("in the end, pending deliveries by key are %v", pending)
	}
	o.wantAllSent()
	for _, p := range o.processes {
		p.stop()
	}
	o.admin.stop()
	o.killed.Wait()
}

// numbered is the data of an event: the n-th of its key.
type numbered struct {
	Key string `json:"key,omitempty"`
	N   int    `json:"n"`
}

// orderTest has what is known of deliveries that go in order, and checks each request.
type orderTest struct {
	*chance
	t         *testing.T
	store     *memory.Store
	webhook   *delivery.Webhook // the one with an order
	admin     *running          // which claims nothing
	processes []*orderProcess
	killed    sync.WaitGroup

	mu       sync.Mutex
	made     map[string]int         // events, by key
	accepted map[uuid.UUID]numbered // all of which are sent, unless
	excused  map[numbered]bool      // an admin ended them, maybe out of turn
	last     map[string]int         // the number of the last delivery that was sent, by key
	inFlight map[numbered]int
	sent     map[numbered]int
	plain    map[numbered]bool // what the webhook without an order got
}

func newOrderTest(t *testing.T, seed uint64) *orderTest {
	t.Helper()
	o := &orderTest{
		chance: &chance{random: rand.New(rand.NewPCG(seed, seed))}, t: t, store: memory.New(),
		made: make(map[string]int), accepted: make(map[uuid.UUID]numbered), excused: make(map[numbered]bool),
		last: make(map[string]int), inFlight: make(map[numbered]int), sent: make(map[numbered]int), plain: make(map[numbered]bool),
	}
	front := flaky.On(o.store)
	o.admin = runOn(t, onlyReplays{front}, front, newEndpoints(unreliable(o.chance)), threeRetries)
	o.webhook = o.admin.ordered(orderedURL, "data.key")
	o.admin.webhook(plainURL)
	for range 3 {
		o.processes = append(o.processes, o.start())
	}
	for range stuck {
		o.emit(stuckKey)
	}
	return o
}

func threeRetries(s *delivery.Settings) {
	s.Retry = delivery.RetryPolicy{Attempts: 4, Delays: []time.Duration{time.Second, 5 * time.Second, 20 * time.Second}}
	s.Concurrency, s.ConcurrencyPerWebhook = 30, 12
}

// onlyReplays is a store of a process that is for what admins do: it sends nothing that is scheduled.
type onlyReplays struct{ *flaky.Store }

func (onlyReplays) Claim(context.Context, int, delivery.Room) (delivery.Claimed, error) {
	return delivery.Claimed{Next: delivery.ClaimEvery, Due: delivery.ClaimEvery}, nil
}

// noReplays is a store of a process that sends only what is scheduled.
type noReplays struct{ *flaky.Store }

func (noReplays) ClaimReplays(context.Context, int, uuid.UUID, time.Duration, int) ([]delivery.Replay, error) {
	return nil, nil
}

// orderProcess is an engine that can be killed.
type orderProcess struct {
	*running
	dead context.Context
	die  context.CancelFunc
}

func (o *orderTest) start() *orderProcess {
	o.t.Helper()
	p := new(orderProcess)
	p.dead, p.die = context.WithCancel(context.Background())
	front := flaky.On(o.store)
	front.Fail(func(op string) error {
		if op != "Open" && op != "Close" && (p.dead.Err() != nil || o.float() < 0.02) {
			return errLost
		}
		return nil
	})
	p.running = runOn(o.t, noReplays{front}, front, newEndpoints(func(ctx context.Context, m sender.Message) sender.Response {
		return o.receive(ctx, p.dead, m)
	}), threeRetries)
	return p
}

// endProcesses kills, stops and reloads processes at random, and has others in their places.
func (o *orderTest) endProcesses(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(o.upTo(15 * time.Second))
		i := o.below(len(o.processes))
		switch p := o.processes[i]; o.below(3) {
		case 0:
			p.die() // its leases end by themselves
			o.killed.Go(func() {
				p.detach()
				ended, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				_ = p.Close(ended)
			})
			o.replace(i)
		case 1:
			o.killed.Go(p.stop)
			o.replace(i)
		default:
			detach := p.detach
			s := delivery.DefaultSettings()
			threeRetries(&s)
			p.detach = p.Attach(s, nopLog)
			detach()
		}
	}
}

func (o *orderTest) replace(i int) {
	p := o.start()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.processes[i] = p
}
