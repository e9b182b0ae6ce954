package storetest

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func testAcceptStores(f *fixture) {
	hooks := f.webhooks(tenant, 3)
	two, none := f.event(hooks[2], hooks[0]), f.event()
	call := f.call(tenant, two, none)
	before := f.store.Now().Add(-time.Second)
	result := f.acceptAll(held, call)[0]
	f.must(result.Err)
	if result.At.Before(before) || result.At.After(f.store.Now().Add(time.Second)) {
		f.Errorf("received at %s, while the store's clock is %s", result.At, f.store.Now())
	}
	want := []delivery.AcceptedEvent{{Deliveries: 2}, {}}
	if !slices.Equal(result.Events, want) {
		f.Errorf("the events are %+v, want %+v", result.Events, want)
	}
	e, deliveries, err := f.store.Event(f.Context(), tenant, two.ID)
	f.must(err)
	wantEvent := &delivery.Event{
		Tenant: tenant, ID: two.ID, Type: two.Type, OccurredAt: two.OccurredAt,
		ReceivedAt: result.At, Payload: two.Payload,
	}
	if !reflect.DeepEqual(e, wantEvent) {
		f.Errorf("the event is %+v, want %+v", e, wantEvent)
	}
	var wantDeliveries []delivery.Delivery
	for _, w := range []*delivery.Webhook{hooks[0], hooks[2]} {
		wantDeliveries = append(wantDeliveries, delivery.Delivery{
			WebhookID: w.ID, Status: delivery.DeliveryPending, NextAttemptAt: result.At,
		})
	}
	slices.SortFunc(wantDeliveries, func(a, b delivery.Delivery) int {
		return bytes.Compare(a.WebhookID[:], b.WebhookID[:])
	})
	if !reflect.DeepEqual(deliveries, wantDeliveries) {
		f.Errorf("the deliveries are %+v, want %+v", deliveries, wantDeliveries)
	}
	if _, deliveries, err = f.store.Event(f.Context(), tenant, none.ID); err != nil || len(deliveries) != 0 {
		f.Errorf("an event that nobody wants: %+v, %v", deliveries, err)
	}
	if _, _, err := f.store.Event(f.Context(), "other", two.ID); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("another tenant's event: %v", err)
	}
}

func testAcceptDuplicates(f *fixture) {
	w := f.webhook(tenant)
	first := f.event(w)
	f.accept(held, first)

	again, fresh := f.event(w), f.event(w)
	again.ID = first.ID
	twice := f.event(w)
	twice.ID = fresh.ID
	// Ids that are known already, are twice in a call, or are in two calls of a batch.
	results := f.acceptAll(held, f.call(tenant, again, fresh, twice), f.call(tenant, twice), f.call("other", f.eventWithID(first.ID)))
	want := [][]delivery.AcceptedEvent{
		{{Duplicate: true}, {Deliveries: 1}, {Duplicate: true}},
		{{Duplicate: true}},
		{{}}, // another tenant has its own ids
	}
	for i := range want {
		f.must(results[i].Err)
		if !slices.Equal(results[i].Events, want[i]) {
			f.Errorf("call %d: %+v, want %+v", i, results[i].Events, want[i])
		}
	}
	if e, _, _ := f.store.Event(f.Context(), tenant, first.ID); !bytes.Equal(e.Payload, first.Payload) {
		f.Errorf("the first event did not stay: %s", e.Payload)
	}
	if got := len(f.claim(wideRoom).Jobs); got != 2 {
		f.Errorf("%d deliveries are due, want 2", got)
	}
}

func (f *fixture) eventWithID(id uuid.UUID) delivery.AcceptEvent {
	e := f.event()
	e.ID = id
	return e
}

func testAcceptStale(f *fixture) {
	w := f.webhook(tenant)
	stale := f.call(tenant, f.event(w), f.event(w))
	f.update(w, func(w *delivery.Webhook) { w.Description = "changed" })
	fresh := f.call(tenant, f.event(w))
	results := f.acceptAll(held, stale, fresh, stale)
	if !errors.Is(results[0].Err, delivery.ErrStale) || !errors.Is(results[2].Err, delivery.ErrStale) || results[1].Err != nil {
		f.Fatalf("two stale calls and a fresh one: %v, %v, %v", results[0].Err, results[2].Err, results[1].Err)
	}
	if _, _, err := f.store.Event(f.Context(), tenant, stale.Events[0].ID); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("a stale call's event: %v", err)
	}
	if got := len(f.claim(wideRoom).Jobs); got != 1 {
		f.Errorf("%d deliveries are due, want 1", got)
	}
	stale.Version = f.version(tenant)
	if result := f.acceptAll(held, stale)[0]; result.Err != nil || result.Events[0] != (delivery.AcceptedEvent{Deliveries: 1}) {
		f.Errorf("the same call with the present version: %+v", result)
	}
}

func testAcceptRepeated(f *fixture) {
	w := f.webhook(tenant)
	call := f.call(tenant, leased(f.event(w)), leased(f.event()))
	f.must(f.acceptAll(held, call)[0].Err)
	call.Events = append(call.Events, leased(f.event(w))) // which the first try did not have
	result := f.acceptAll(held, call)[0]
	f.must(result.Err)
	want := []delivery.AcceptedEvent{{Repeated: true, Deliveries: 1}, {Repeated: true}, {Deliveries: 1}}
	if !slices.Equal(result.Events, want) {
		f.Errorf("the call made again: %+v, want %+v", result.Events, want)
	}
	f.nothingDue()
	// The same event in another place of the call is a duplicate.
	call.Events[0], call.Events[1] = call.Events[1], call.Events[0]
	result = f.acceptAll(held, call)[0]
	want = []delivery.AcceptedEvent{{Duplicate: true}, {Duplicate: true}, {Repeated: true, Deliveries: 1}}
	if !slices.Equal(result.Events, want) {
		f.Errorf("the call in another order: %+v, want %+v", result.Events, want)
	}
}

func testAcceptTest(f *fixture) {
	w := f.webhook(tenant)
	e := f.event(w)
	e.Test = true
	result := f.accept(held, e)
	if want := []delivery.AcceptedEvent{{Deliveries: 1}}; !slices.Equal(result.Events, want) {
		f.Errorf("the test event is %+v, want %+v", result.Events, want)
	}
	f.nothingDue()
	job := &delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: e.ID}}
	f.wantDelivery(job, delivery.DeliveryPending, 0, time.Time{})
}

func testAcceptLarge(f *fixture) {
	hooks := f.webhooks(tenant, 10)
	events := make([]delivery.AcceptEvent, 1000)
	for i := range events {
		events[i] = f.event(hooks...)
	}
	// As much as the contract allows in one call, and a little more beside it.
	results := f.acceptAll(held, f.call(tenant, f.event(hooks[0])), f.call(tenant, events...), f.call(tenant, f.event(hooks[1])))
	for _, result := range results {
		f.must(result.Err)
	}
	jobs := make(map[delivery.Lease]bool)
	for _, job := range f.drain(wideRoom) {
		jobs[delivery.Lease{Webhook: job.Webhook.Ref(), EventID: job.Event.ID}] = true
	}
	if want := len(events)*len(hooks) + 2; len(jobs) != want {
		f.Errorf("%d deliveries were due, want %d", len(jobs), want)
	}
}

// testEventExpires lets an event expire, an hour after the retention ends.
func testEventExpires(f *fixture) {
	w := f.webhook(tenant)
	e := f.event(w)
	call := f.call(tenant, e)
	batch := delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: ended, Retention: -time.Hour + 50*time.Millisecond}
	result := f.store.Accept(f.Context(), batch)[0]
	f.must(result.Err)
	job := &delivery.Job{
		Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: e.ID, Type: e.Type, ReceivedAt: result.At},
	}
	o := manual(f.outcome(job), delivery.TriggerRerun)
	f.complete(o)
	f.eventually("the event expires", func() bool {
		_, _, err := f.store.Event(context.Background(), tenant, e.ID)
		return errors.Is(err, delivery.ErrNotFound)
	})
	// A delivery that is still pending by then is dropped.
	f.eventually("the claim sees that nothing is due", func() bool {
		claimed := f.claim(wideRoom)
		if len(claimed.Jobs) > 0 {
			f.Fatal("a delivery outlived its event")
		}
		return claimed.Next > 0
	})
	if r := f.request(tenant, o.Request.ID); r.RequestBody != nil {
		f.Errorf("the request still has its body: %s", r.RequestBody)
	}
	f.wantResend(&o.Request, w, nil)
	if result := f.store.Accept(f.Context(), batch)[0]; result.Err != nil || result.Events[0].Duplicate || result.Events[0].Repeated {
		f.Errorf("an id that has expired is taken: %+v", result)
	}
}

// testPausedExpires lets an event expire while its webhook is paused.
func testPausedExpires(f *fixture) {
	w := f.webhook(tenant)
	e := f.event(w)
	batch := delivery.AcceptBatch{
		Calls: []delivery.AcceptCall{f.call(tenant, e)}, Lease: held, Retention: -time.Hour + 50*time.Millisecond,
	}
	f.must(f.store.Accept(f.Context(), batch)[0].Err)
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	kept := f.event(w)
	f.accept(held, kept)
	f.eventually("the event expires", func() bool {
		_, _, err := f.store.Event(context.Background(), tenant, e.ID)
		return errors.Is(err, delivery.ErrNotFound)
	})
	f.update(w, func(w *delivery.Webhook) { w.Enabled = true })
	jobs := f.drain(wideRoom)
	if len(jobs) != 1 || jobs[0].Event.ID != kept.ID {
		f.Errorf("%+v are due, want the event that has not expired", jobs)
	}
}

// testIDUsedAgain reuses an id for another event after the first has expired. A delivery of
// the first must not send the second, and a request of the first must not be taken for one
// of the second.
func testIDUsedAgain(f *fixture) {
	w := f.webhook(tenant)
	first := f.event(w)
	call := f.call(tenant, first)
	batch := delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: held, Retention: -time.Hour + 50*time.Millisecond}
	result := f.store.Accept(f.Context(), batch)[0]
	f.must(result.Err)
	o := manual(f.outcome(&delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: first.ID, Type: first.Type, ReceivedAt: result.At}}), delivery.TriggerRerun)
	o.Request.ID = delivery.NewID(f.store.Now().Add(-time.Hour))
	f.complete(o)
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	f.eventually("the event expires", func() bool {
		_, _, err := f.store.Event(f.Context(), tenant, first.ID)
		return errors.Is(err, delivery.ErrNotFound)
	})
	again := f.event()
	again.ID = first.ID
	f.accept(held, again)
	f.update(w, func(w *delivery.Webhook) { w.Enabled = true })
	f.nothingDue()
	if r := f.request(tenant, o.Request.ID); r.RequestBody != nil {
		f.Errorf("a request of the first event has the body %s", r.RequestBody)
	}
}
