package storetest

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	copyMany  = delivery.BatchItems + 200 // of each kind, more than a batch takes
	copyLarge = 12                        // events and responses of copySize, more bytes than a batch takes
	copySize  = 1 << 20
)

// testCopyLarge copies more of each kind than a batch takes, in number and in size.
func testCopyLarge(t *testing.T, from, to delivery.Copyable) {
	f := &fixture{T: t, store: from}
	events, outcomes := f.fillLarge(from)
	f.wantSmallBatches(from)
	if added := f.copy(from, to); added != 3*copyMany+1 {
		t.Errorf("%d things were copied, want %d", added, 3*copyMany+1)
	}
	want := delivery.Counts{
		Tenants: 1, Webhooks: copyMany, Secrets: copyMany, Events: copyMany + 1, Pending: 2 * copyMany, Requests: copyMany,
	}
	if got := f.counts(to); got != want {
		t.Errorf("the copy has %+v, want %+v", got, want)
	}
	f.store = to
	for _, n := range []int{0, copyLarge - 1, copyMany - 1} {
		r := f.request(tenant, outcomes[n].Request.ID)
		if r.ResponseBody != outcomes[n].Request.ResponseBody || string(r.RequestBody) != string(events[n].Payload) {
			t.Errorf("request %d has other bodies", n)
		}
	}
	if jobs := f.drain(wideRoom); len(jobs) != 2*copyMany {
		t.Errorf("%d deliveries were due, want %d", len(jobs), 2*copyMany)
	}
}

// fillLarge fills a store with webhooks, an event for all of them, and an event with a
// re-run for each. It returns the latter.
func (f *fixture) fillLarge(store delivery.Copyable) ([]delivery.AcceptEvent, []delivery.Outcome) {
	batch := new(delivery.Batch)
	for range copyMany {
		batch.AddWebhook(delivery.StoredWebhook{Webhook: *f.newWebhook(tenant)})
	}
	_, err := store.Import(f.Context(), batch)
	f.must(err)
	hooks, _, err := Webhooks(f.Context(), store, tenant)
	f.must(err)
	f.accept(held, f.event(hooks...)) // has more webhooks than a store reads at a time

	call := f.call(tenant)
	for n := range copyMany {
		e := f.event(hooks[n])
		if n < copyLarge {
			e.Payload = make([]byte, copySize)
		}
		call.Events = append(call.Events, e)
	}
	accepted := f.acceptAll(held, call)[0]
	f.must(accepted.Err)

	var outcomes []delivery.Outcome
	for n := range call.Events {
		e := &call.Events[n]
		o := manual(f.outcome(&delivery.Job{Webhook: hooks[n], Event: &delivery.Event{
			Tenant: tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: accepted.At,
		}}), delivery.TriggerRerun)
		if n < copyLarge {
			o.Request.ResponseBody = string(e.Payload)
		}
		outcomes = append(outcomes, o)
	}
	f.complete(outcomes...)
	return call.Events, outcomes
}

// wantSmallBatches checks that a store exports each kind in several batches, none of
// which is too large.
func (f *fixture) wantSmallBatches(store delivery.Copyable) {
	batches := make(map[string]int)
	for b, err := range store.Export(f.Context()) {
		f.must(err)
		batches[b.Kind()]++
		bytes := 0
		for i := range b.Events {
			bytes += len(b.Events[i].Payload)
		}
		for i := range b.Requests {
			bytes += len(b.Requests[i].ResponseBody)
		}
		if b.Len() > delivery.BatchItems || bytes > delivery.BatchBytes+copySize {
			f.Errorf("a batch has %d %s of %d bytes", b.Len(), b.Kind(), bytes)
		}
	}
	for _, kind := range []string{"webhooks", "events", "requests"} {
		if batches[kind] < 2 {
			f.Errorf("%s came in %d batches", kind, batches[kind])
		}
	}
}
