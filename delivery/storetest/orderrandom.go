package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	orderEvents = 150
	orderKeys   = 4
	// stuckKey has a first delivery that fails and fails, and does not come to its end.
	stuckKey = 9
)

// orderRun is what is known of deliveries that go in order.
type orderRun struct {
	*fixture
	w *delivery.Webhook

	mu   sync.Mutex
	rand *rand.Rand
	// queues are the events by their keys, in order of acceptance; keys has the key of each.
	queues map[byte][]uuid.UUID
	keys   map[uuid.UUID]byte
	at     map[uuid.UUID]time.Time // when they were received
	ended  map[uuid.UUID]bool      // or an outcome is on its way that ends them
	left   int
	wrong  string
}

// testOrderRandom has two processes send what one emits. Requests fail, processes are killed or
// reloaded with what they hold, the webhook is disabled, slow, and has a rate limit or none,
// deliveries are canceled or run again, all at random. Whatever is claimed, all that go before it have
// ended; and all end, but for those behind one that fails and fails.
func testOrderRandom(f *fixture) {
	seed := rand.Uint64()
	f.Logf("the seed is %d", seed)
	r := &orderRun{
		fixture: f, w: f.webhook(tenant), rand: rand.New(rand.NewPCG(seed, 0)),
		queues: make(map[byte][]uuid.UUID), keys: make(map[uuid.UUID]byte), at: make(map[uuid.UUID]time.Time), ended: make(map[uuid.UUID]bool),
	}
	var processes sync.WaitGroup
	for range 2 {
		processes.Go(r.process)
	}
	processes.Go(r.intervene)
	for r.count() < orderEvents && !r.isDone() {
		r.emit()
	}
	processes.Wait()
	if r.wrong != "" {
		f.Fatal(r.wrong)
	}
	f.update(r.w, func(w *delivery.Webhook) { w.Enabled = true })
	if n := f.webhookPending(tenant, r.w.ID)[0]; n != int64(len(r.queues[stuckKey])) {
		f.Errorf("%d deliveries are pending in the end, want %d that wait for one that fails", n, len(r.queues[stuckKey]))
	}
}

func (r *orderRun) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.keys)
}

func (r *orderRun) below(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.rand.IntN(n)
}

// isDone reports whether all have ended that can, or something is wrong.
func (r *orderRun) isDone() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrong != "" || len(r.keys) >= orderEvents && r.left == 0
}

func (r *orderRun) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wrong == "" {
		r.wrong = fmt.Sprintf(format, args...)
	}
}

// failed notes an error.
func (r *orderRun) failed(err error) bool {
	if err != nil {
		r.fail("%v", err)
	}
	return err != nil
}

// emit accepts some events. What it knows of them is noted before, since they may be claimed at once.
func (r *orderRun) emit() {
	var events []delivery.AcceptEvent
	r.mu.Lock()
	for range 1 + r.rand.IntN(8) {
		key := byte(r.rand.IntN(orderKeys)) // 0 for none
		if r.rand.IntN(10) == 0 {
			key = stuckKey
		}
		r.made++
		e := delivery.AcceptEvent{ID: delivery.NewID(r.store.Now()), Type: "alert_active", OccurredAt: time.Unix(0, 0).UTC(), Payload: []byte(`{}`)}
		e.Targets = []delivery.Target{{Webhook: r.w.ID, Order: delivery.OrderKey{15: key}}}
		events = append(events, e)
		if r.keys[e.ID] = key; key != stuckKey {
			r.left++
		}
		r.queues[key] = append(r.queues[key], e.ID)
	}
	r.mu.Unlock()
	for {
		_, version, err := r.store.Webhook(r.Context(), r.w.Ref())
		if r.failed(err) {
			return
		}
		call := delivery.AcceptCall{Tenant: tenant, Version: version, Nonce: uuid.New(), Events: events}
		result := r.store.Accept(r.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: held, Retention: retention})[0]
		if result.Err == nil {
			break
		}
		if result.Err != delivery.ErrStale && r.failed(result.Err) { //nolint:errorlint // stores return it as it is
			return
		}
	}
}

// claimed checks that a delivery may be claimed.
func (r *orderRun) claimed(job *delivery.Job) (key byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at[job.Event.ID] = job.Event.ReceivedAt
	if key = r.keys[job.Event.ID]; key == 0 {
		return key
	}
	for _, before := range r.queues[key] {
		if before == job.Event.ID {
			break
		}
		if !r.ended[before] {
			r.wrong = fmt.Sprintf("of key %d, %s is sent while %s, which goes before it, has not ended", key, job.Event.ID, before)
		}
	}
	return key
}

// end notes that an outcome ends a delivery, before it is written.
func (r *orderRun) end(event uuid.UUID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended[event] && r.keys[event] != stuckKey {
		r.left--
	}
	r.ended[event] = true
}

// process claims, and ends what it claims in some way, or not at all.
func (r *orderRun) process() {
	for deadline := time.Now().Add(patience); !r.isDone(); {
		if time.Now().After(deadline) {
			r.fail("some deliveries have not ended after %s", patience)
			return
		}
		room := delivery.Room{Fast: 1 + r.below(8), Slow: 1, PerWebhook: 1 + r.below(8), Lease: held}
		if r.below(5) == 0 {
			room.Lease = ended // the process is killed
		}
		claimed, err := r.claimAll(room)
		if r.failed(err) {
			return
		}
		for i := range claimed.Jobs {
			key := r.claimed(&claimed.Jobs[i])
			if room.Lease == held && r.failed(r.finish(&claimed.Jobs[i], key)) {
				return
			}
		}
		if len(claimed.Jobs) == 0 {
			time.Sleep(pollEvery)
		}
	}
}

// finish ends one attempt.
func (r *orderRun) finish(job *delivery.Job, key byte) error {
	o := r.outcome(job)
	o.Ordered = r.below(2) == 0
	switch n := r.below(10); {
	case key == stuckKey:
		o = retried(o, r.store.Now())
	case n < 5:
		o = succeeded(o)
	case n < 6: // for good
	case n < 9:
		o = retried(o, r.store.Now().Add(-time.Minute))
		o.Slow = n == 8
	default: // a reload
		return r.store.Release(r.Context(), []delivery.Lease{{Webhook: r.w.Ref(), EventID: job.Event.ID, LeaseEnd: job.LeaseEnd}})
	}
	if o.RetryAt.IsZero() {
		r.end(job.Event.ID)
	}
	return firstOf(r.store.Complete(r.Context(), []delivery.Outcome{o}))
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// intervene does what admins do.
func (r *orderRun) intervene() {
	for !r.isDone() {
		time.Sleep(5 * pollEvery)
		current, version, err := r.store.Webhook(r.Context(), r.w.Ref())
		if r.failed(err) {
			return
		}
		changed := *current
		changed.Enabled = r.below(3) > 0
		changed.RateLimit = nil
		if r.below(2) == 0 {
			changed.RateLimit = &delivery.RateLimit{Requests: 300, Per: time.Second}
		}
		if r.failed(r.store.UpdateWebhook(r.Context(), &changed, version)) {
			return
		}
		event, ok := r.some()
		if !ok {
			continue
		}
		job, err := r.store.Take(r.Context(), r.w.Ref(), event, held)
		if err != nil {
			continue // it has ended, or is being sent
		}
		o := r.outcome(&job)
		if r.below(2) == 0 { // else it is canceled
			o = manual(succeeded(o), delivery.TriggerRerun)
		}
		r.end(event)
		if r.failed(firstOf(r.store.Complete(r.Context(), []delivery.Outcome{o}))) {
			return
		}
	}
}

// some is some event that can come to its end.
func (r *orderRun) some() (event uuid.UUID, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 10 {
		if q := r.queues[byte(r.rand.IntN(orderKeys))]; len(q) > 0 {
			if event = q[r.rand.IntN(len(q))]; !r.ended[event] {
				return event, true
			}
		}
	}
	return event, false
}
