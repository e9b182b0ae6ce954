package storetest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	modelRuns      = 20
	variantRuns    = 5
	modelSteps     = 1100 // of each run
	modelTenants   = 2
	modelMaxEvents = 300
)

// testModel does random operations on a store and on a model, and compares the results. The
// name of each run has its seed.
func testModel(t *testing.T, first, runs int, open func(t *testing.T) delivery.Store) {
	if testing.Short() {
		runs = 2
	}
	for seed := first; seed < first+runs; seed++ {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			r := &randomRun{
				fixture: &fixture{T: t, store: open(t)},
				rand:    rand.New(rand.NewPCG(uint64(seed), 0)),
				model:   newModel(),

				remembered: make(map[string]*subscriptions),
			}
			for range modelSteps {
				r.step()
			}
			r.compareAll()
		})
	}
}

// randomRun is one sequence of random operations.
type randomRun struct {
	*fixture
	rand  *rand.Rand
	model *model

	calls    []delivery.AcceptCall // made before
	events   []eventKey            // known
	held     []delivery.Job        // leases given out, some of them lost meanwhile
	outcomes []delivery.Outcome    // written before
	// remembered are the webhooks of each tenant as a process knows them by their changes.
	remembered map[string]*subscriptions
	// copied says that the store is a copy, which may have lost in which order events came.
	copied bool
}

func (r *randomRun) step() {
	switch n := r.rand.IntN(100); {
	case n < 25:
		r.acceptSome()
	case n < 45:
		r.claimRandom()
	case n < 70:
		r.completeSome()
	case n < 75:
		r.releaseSome()
	case n < 78:
		r.createOne()
	case n < 84:
		r.updateOne()
	case n < 86:
		r.deleteOne()
	case n < 88:
		r.compareEvent(r.events)
	case n < 90:
		r.addSome()
	case n < 93:
		r.compareWebhooks()
	case n < 94:
		r.comparePending()
		r.compareStats()
	case n < 98:
		r.comparePage()
		r.compareEventList()
	case n < 99:
		r.eraseOne()
	default:
		_, err := r.store.Sweep(r.Context(), retention)
		r.must(err)
	}
}

// soon is after all that is due and before all that is not, which is an hour ahead: Now may
// be off by some milliseconds.
func (r *randomRun) soon() int64 { return r.store.Now().Add(10 * time.Minute).UnixMilli() }

func (r *randomRun) tenant() string { return string(rune('a' + r.rand.IntN(modelTenants))) }

func (r *randomRun) chance(percent int) bool { return r.rand.IntN(100) < percent }

// lease is the length of a lease that does not end, or of one that has ended.
func (r *randomRun) lease() time.Duration {
	if r.chance(30) {
		return ended
	}
	return held
}

// someWebhook is one of the webhooks that exist, or nil.
func (r *randomRun) someWebhook() *delivery.Webhook {
	var all []*delivery.Webhook
	for _, w := range r.model.webhooks {
		all = append(all, w)
	}
	if len(all) == 0 {
		return nil
	}
	// Maps have no order, but a seed must always give the same run.
	slices.SortFunc(all, func(a, b *delivery.Webhook) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return all[r.rand.IntN(len(all))]
}

func (r *randomRun) targets(tenant string) []delivery.Target {
	var targets []delivery.Target
	for range r.rand.IntN(5) {
		w := r.someWebhook()
		if w == nil || w.Tenant != tenant || !w.Enabled ||
			slices.ContainsFunc(targets, func(t delivery.Target) bool { return t.Webhook == w.ID }) {
			continue
		}
		target := delivery.Target{Webhook: w.ID, Lease: r.chance(60)}
		if r.chance(30) {
			target.Lease, target.Order = false, delivery.OrderKey{byte(1 + r.rand.IntN(3))}
		}
		targets = append(targets, target)
	}
	return targets
}

func (r *randomRun) newCall() delivery.AcceptCall {
	call := delivery.AcceptCall{Tenant: r.tenant(), Nonce: uuid.New()}
	call.Version = r.model.versions[call.Tenant]
	if r.chance(5) {
		call.Version--
	}
	for range 1 + r.rand.IntN(4) {
		e := r.event()
		e.Type = []string{"alert_active", "alert_resolved", "device_created"}[r.rand.IntN(3)]
		e.Targets = r.targets(call.Tenant)
		e.Test = r.chance(5)
		switch {
		case r.chance(5) && len(r.events) > 0:
			e.ID = r.events[r.rand.IntN(len(r.events))].id
		case r.chance(3) && len(call.Events) > 0:
			e.ID = call.Events[0].ID
		}
		call.Events = append(call.Events, e)
	}
	return call
}

func (r *randomRun) acceptSome() {
	if len(r.events) > modelMaxEvents {
		return
	}
	var calls []delivery.AcceptCall
	for range 1 + r.rand.IntN(3) {
		call := r.newCall()
		if r.chance(10) && len(r.calls) > 0 {
			call = r.again(r.calls[r.rand.IntN(len(r.calls))])
		}
		calls = append(calls, call)
	}
	results := r.acceptAll(r.lease(), calls...)
	r.calls = append(r.calls, calls...)
	for i := range calls {
		r.checkAccepted(&calls[i], &results[i])
	}
}

// again repeats a call, unchanged or, as after a stale one, with targets of the present
// version.
func (r *randomRun) again(call delivery.AcceptCall) delivery.AcceptCall {
	if r.chance(50) {
		return call
	}
	call.Version = r.model.versions[call.Tenant]
	call.Events = slices.Clone(call.Events)
	for i := range call.Events {
		e := &call.Events[i]
		e.Targets = slices.DeleteFunc(slices.Clone(e.Targets), func(t delivery.Target) bool {
			w := r.model.webhooks[delivery.WebhookRef{Tenant: call.Tenant, ID: t.Webhook}]
			return w == nil || !w.Enabled
		})
	}
	return call
}

func (r *randomRun) checkAccepted(call *delivery.AcceptCall, result *delivery.Accepted) {
	if call.Version != r.model.versions[call.Tenant] {
		if !errors.Is(result.Err, delivery.ErrStale) {
			r.Fatalf("a stale call: %v", result.Err)
		}
		return
	}
	r.must(result.Err)
	want, unleased := r.model.accept(call, result.At, result.LeaseEnd)
	for i := range want {
		// A store may count a deleted webhook or not, and a delivery that was added.
		if want[i].Repeated && i < len(result.Events) && !r.model.whole(call.Tenant, call.Events[i].ID) {
			want[i].Deliveries = result.Events[i].Deliveries
		}
	}
	if !slices.Equal(result.Events, want) {
		r.Fatalf("accepted %+v, want %+v", result.Events, want)
	}
	got := make(map[uuid.UUID]bool)
	for _, id := range result.Unleased {
		got[id] = true
	}
	if !reflect.DeepEqual(got, unleased) {
		r.Fatalf("unleased %v, want %v", got, unleased)
	}
	for i := range call.Events {
		if result.Events[i].Duplicate || result.Events[i].Repeated {
			continue
		}
		key := eventKey{call.Tenant, call.Events[i].ID}
		r.events = append(r.events, key)
		for _, target := range call.Events[i].Targets {
			if target.Lease && !unleased[target.Webhook] && !call.Events[i].Test {
				r.hold(delivery.WebhookRef{Tenant: call.Tenant, ID: target.Webhook}, key, 1, result.LeaseEnd)
			}
		}
	}
}

func (r *randomRun) hold(ref delivery.WebhookRef, key eventKey, attempt int, leaseEnd int64) {
	event := r.model.events[key].Event
	r.held = append(r.held, delivery.Job{
		Webhook: r.model.webhooks[ref], Event: &event, Attempt: attempt, LeaseEnd: leaseEnd,
	})
}

func (r *randomRun) claimRandom() {
	room := delivery.Room{
		Fast: r.rand.IntN(20), Slow: r.rand.IntN(5), PerWebhook: 1 + r.rand.IntN(6),
		Webhooks: make(map[delivery.WebhookRef]int), Lease: r.lease(),
	}
	for range r.rand.IntN(4) {
		if w := r.someWebhook(); w != nil {
			room.Webhooks[w.Ref()] = r.rand.IntN(4)
		}
	}
	claimed := r.claim(room)
	due := r.model.dueNow(r.soon())
	left := make(map[delivery.WebhookRef]int) // how many due deliveries there is room for
	for ref, n := range due {
		most, known := room.Webhooks[ref]
		if !known {
			most = room.PerWebhook
		}
		kind := room.Fast
		if r.model.slow[ref] {
			most, kind = min(most, 1), room.Slow
		}
		if kind > 0 {
			left[ref] = min(n, most)
		}
	}
	if len(claimed.Jobs) == 0 && claimed.Next > time.Second {
		for ref, n := range left {
			if n > 0 {
				r.Fatalf("nothing was claimed in room %+v, while %v has %d due", room, ref, n)
			}
		}
	}
	for i := range claimed.Jobs {
		job := &claimed.Jobs[i]
		r.checkJob(job)
		if job.Slow {
			room.Slow--
		} else {
			room.Fast--
		}
		if left[job.Webhook.Ref()]--; left[job.Webhook.Ref()] < 0 {
			r.Fatalf("more was claimed of %v than is due or there is room for", job.Webhook.Ref())
		}
	}
	if room.Slow < 0 || room.Fast < 0 {
		r.Fatalf("claimed %d too many fast, %d too many slow", -room.Fast, -room.Slow)
	}
}

// checkJob compares a claimed job with the model, and records its lease.
func (r *randomRun) checkJob(job *delivery.Job) {
	ref := job.Webhook.Ref()
	e, d := r.model.delivery(ref, job.Event.ID)
	if d == nil || d.due == unscheduled || d.due > r.soon() || r.model.waits(ref, d) {
		r.Fatalf("claimed %+v, which is not due: %+v", job, d)
	}
	want := delivery.Job{
		Webhook: r.model.webhooks[ref], Event: &e.Event,
		Attempt: d.Attempts + 1, LeaseEnd: job.LeaseEnd, Slow: r.model.slow[ref],
		Due: time.UnixMilli(d.due),
	}
	if want.Ordered = job.Ordered; d.order != (delivery.OrderKey{}) && !job.Ordered {
		r.Fatalf("the job %+v does not say that it has an order", job)
	}
	if d.due == dueAtOnce {
		want.Due = job.Due
	}
	if want.Webhook.RateLimit != nil && job.StartIn >= 0 && job.StartIn <= delivery.StartsAhead {
		want.StartIn = job.StartIn
	}
	if !reflect.DeepEqual(*job, want) {
		r.Fatalf("the job is\n%+v of %+v,\nwant\n%+v of %+v", *job, job.Event, want, want.Event)
	}
	d.due = job.LeaseEnd
	r.held = append(r.held, *job)
}
