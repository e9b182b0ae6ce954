package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

const (
	driverLease   = 300 * time.Millisecond
	driverTries   = 20 // as the engine, again and again
	driverWebhook = "https://example.com/"
)

// driver uses a store as the engine does: it chooses targets from webhooks that it remembers,
// repeats what it does not know the outcome of, sends what it holds a lease for, and writes
// outcomes until they are written.
type driver struct {
	*testing.T
	s    *Store
	logs *observer.ObservedLogs

	remembered map[string]*remembered
	unknown    []delivery.AcceptCall // calls that may have been carried out
	outcomes   []delivery.Outcome    // not written yet

	acknowledged map[deliveryKey]bool
	sent         map[deliveryKey]int
	written      map[uuid.UUID]string // tenants of the requests whose outcomes were
	failures     int                  // how many calls of the store failed
	unwritten    int                  // how many of them were to write outcomes
	ignored      string               // a tenant whose deliveries may stay on the schedule
}

type remembered struct {
	webhooks []*delivery.Webhook
	version  int64
}

type deliveryKey struct {
	tenant         string
	event, webhook uuid.UUID
}

func newDriver(t *testing.T, o Options) *driver {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	o.Logger = zap.New(core)
	return &driver{
		T: t, s: open(t, o), logs: logs, remembered: make(map[string]*remembered),
		acknowledged: make(map[deliveryKey]bool), sent: make(map[deliveryKey]int), written: make(map[uuid.UUID]string),
	}
}

// failed counts errors, and reports whether there was one.
func (d *driver) failed(err error) bool {
	if err != nil {
		d.failures++
		d.Logf("a call failed: %v", err)
	}
	return err != nil
}

func (d *driver) webhooksOf(tenant string) *remembered {
	if r := d.remembered[tenant]; r != nil {
		return r
	}
	all, version, err := storetest.Webhooks(d.Context(), d.s, tenant)
	if d.failed(err) {
		return nil
	}
	d.remembered[tenant] = &remembered{all, version}
	return d.remembered[tenant]
}

// emit emits some events of a tenant, and reports whether they were acknowledged.
func (d *driver) emit(tenant string, n int) bool {
	call := delivery.AcceptCall{Tenant: tenant, Nonce: uuid.New(), Events: make([]delivery.AcceptEvent, n)}
	for i := range call.Events {
		call.Events[i] = delivery.AcceptEvent{
			ID: delivery.NewID(d.s.Now()), Type: "alert_active", OccurredAt: d.s.Now(), Payload: []byte("{}"),
		}
		if i == 1 {
			call.Events[i].ID = uuid.New() // an emitter's, which has a key of its own
		}
	}
	return d.accept(call, true)
}

// accept accepts a call, with targets of the webhooks that are remembered.
func (d *driver) accept(call delivery.AcceptCall, lease bool) bool {
	for range driverTries {
		of := d.webhooksOf(call.Tenant)
		if of == nil {
			return false
		}
		call.Version = of.version
		for i := range call.Events {
			call.Events[i].Targets = nil
			for _, w := range of.webhooks {
				if w.Enabled {
					call.Events[i].Targets = append(call.Events[i].Targets, target(w, lease && i%2 == 0))
				}
			}
		}
		result := d.s.Accept(d.Context(), delivery.AcceptBatch{
			Calls: []delivery.AcceptCall{call}, Lease: driverLease, Retention: testRetention,
		})[0]
		switch {
		case result.Err == nil:
			d.take(&call, &result, of)
			return true
		case errors.Is(result.Err, delivery.ErrStale):
			delete(d.remembered, call.Tenant)
			continue
		case errors.Is(result.Err, delivery.ErrUnavailable), errors.Is(result.Err, delivery.ErrFull):
		default:
			d.unknown = append(d.unknown, call)
		}
		d.failures++
		return false
	}
	d.failures++
	return false
}

// take notes what was acknowledged, and sends what was born leased.
func (d *driver) take(call *delivery.AcceptCall, result *delivery.Accepted, of *remembered) {
	unleased := make(map[uuid.UUID]bool)
	for _, id := range result.Unleased {
		unleased[id] = true
	}
	for i := range call.Events {
		e := &call.Events[i]
		if result.Events[i].Duplicate {
			d.Errorf("the event %s is a duplicate", e.ID)
		}
		for _, target := range e.Targets {
			key := deliveryKey{call.Tenant, e.ID, target.Webhook}
			d.acknowledged[key] = true
			if !target.Lease || unleased[target.Webhook] || result.Events[i].Repeated {
				continue
			}
			for _, w := range of.webhooks {
				if w.ID == target.Webhook {
					d.send(&delivery.Job{
						Webhook: w, Attempt: 1, LeaseEnd: result.LeaseEnd,
						Event: &delivery.Event{Tenant: call.Tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: result.At},
					})
				}
			}
		}
	}
}

// send sends a delivery. The endpoint of a webhook is in its description: it may fail at the
// first attempt, and then be slow, too.
func (d *driver) send(job *delivery.Job) {
	key := deliveryKey{job.Event.Tenant, job.Event.ID, job.Webhook.ID}
	d.sent[key]++
	o := success(d.s, job.Webhook, &delivery.AcceptEvent{ID: job.Event.ID, Type: job.Event.Type, OccurredAt: job.Event.OccurredAt},
		&delivery.Accepted{At: job.Event.ReceivedAt, LeaseEnd: job.LeaseEnd})
	o = begunAfter(max(0, d.s.Now().Sub(job.Event.ReceivedAt)), o)
	o.Request.Attempt, o.Ordered = job.Attempt, job.Ordered
	o.Request.ResponseBody = "thanks"
	if job.Webhook.Description != "" && job.Attempt == 1 {
		o.Request.Status, o.Request.StatusCode = delivery.RequestFailed, 500
		o.RetryAt = d.s.Now().Add(time.Millisecond)
		o.Slow = job.Webhook.Description == "slow"
	}
	d.outcomes = append(d.outcomes, o)
}

// complete writes the outcomes that are not written yet.
func (d *driver) complete() {
	if len(d.outcomes) == 0 {
		return
	}
	if d.failed(errors.Join(d.s.Complete(d.Context(), d.outcomes)...)) {
		d.unwritten++
		return
	}
	for i := range d.outcomes {
		d.written[d.outcomes[i].Request.ID] = d.outcomes[i].Request.Tenant
	}
	d.outcomes = nil
}

// claim sends what is due.
func (d *driver) claim() {
	claimed, err := d.s.Claim(d.Context(), 0, delivery.Room{Fast: 100, Slow: 100, PerWebhook: 100, Lease: driverLease})
	d.failed(err)
	for i := range claimed.Jobs {
		d.send(&claimed.Jobs[i])
	}
}

// pending lists what is leased, and the webhooks that have deliveries on the schedule, with their
// states.
func (d *driver) pending() (all []string) {
	base := d.s.keys.base(0)
	for _, key := range d.s.client().Keys(d.Context(), base+"leased:*").Val() {
		all = append(all, fmt.Sprintf("%s %q", key, d.s.client().SMembers(d.Context(), key).Val()))
	}
	for _, key := range d.s.client().Keys(d.Context(), base+"pending:*").Val() {
		ref := strings.TrimPrefix(key, base+"pending:")
		if d.ignored != "" && strings.HasPrefix(ref, d.ignored+":") {
			continue
		}
		all = append(all, fmt.Sprintf("%s %q %v", ref, d.s.client().HGet(d.Context(), stateKey(base), ref).Val(),
			d.s.client().ZRangeWithScores(d.Context(), key, 0, 2).Val()))
	}
	return all
}

// drain repeats what is unknown, and sends and completes until nothing is pending.
func (d *driver) drain() {
	d.Helper()
	calls := d.unknown
	d.unknown = nil
	for _, call := range calls {
		if !d.accept(call, false) {
			d.Errorf("a call cannot be repeated")
		}
	}
	eventually(d, "nothing is pending", func() error {
		d.claim()
		if d.complete(); len(d.outcomes) > 0 {
			return errors.New("outcomes cannot be written")
		}
		if pending := d.pending(); len(pending) > 0 {
			return fmt.Errorf("deliveries are pending: %s", pending)
		}
		return nil
	})
}
