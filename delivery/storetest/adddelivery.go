package storetest

import (
	"errors"
	"reflect"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// addDelivery adds a delivery that is not there yet, or is.
func (f *fixture) addDelivery(w *delivery.Webhook, e *delivery.Event, added bool) {
	f.Helper()
	got, isNew, err := f.store.AddDelivery(f.Context(), w.Ref(), e.ID)
	f.must(err)
	if isNew != added || !reflect.DeepEqual(got, e) {
		f.Errorf("a delivery of %+v was added: %t, want %t, of %+v", got, isNew, added, e)
	}
}

// wantAdded compares how one delivery of an event stands, of which there are more.
func (f *fixture) wantAdded(e *delivery.Event, w *delivery.Webhook, status delivery.DeliveryStatus, all int) {
	f.Helper()
	got, deliveries, err := f.store.Event(f.Context(), e.Tenant, e.ID)
	f.must(err)
	if len(deliveries) != all || !reflect.DeepEqual(got, e) {
		f.Fatalf("%+v has the deliveries %+v, want %d", got, deliveries, all)
	}
	want := delivery.Delivery{WebhookID: w.ID, Status: status}
	for _, d := range deliveries {
		if d.WebhookID == w.ID && d != want {
			f.Errorf("the delivery is %+v, want %+v", d, want)
		}
	}
}

// testAddDelivery adds a delivery to an event that has another one, has it sent, and leaves the other
// as it was.
func testAddDelivery(f *fixture) {
	first, w := f.webhook(tenant), f.webhook(tenant)
	job := f.bornLeased(first, held)
	e := *job.Event
	f.addDelivery(first, &e, false)
	f.addDelivery(w, &e, true)
	f.addDelivery(w, &e, false)
	f.wantAdded(&e, w, delivery.DeliveryFailed, 2)
	if n, err := f.store.Pending(f.Context()); err != nil || n != 1 {
		f.Errorf("%d deliveries are pending, %v", n, err)
	}
	filter := delivery.RequestFilter{EventID: e.ID, WebhookID: w.ID, Limit: 10}
	if rows := f.pages(tenant, filter); len(rows) != 0 {
		f.Errorf("the delivery has the requests %+v", rows)
	}
	added := &delivery.Job{Webhook: w, Event: &e}
	failed := manual(f.outcome(added), delivery.TriggerReplay)
	f.complete(failed)
	f.wantAdded(&e, w, delivery.DeliveryFailed, 2)
	f.wantStanding("sent", []delivery.Request{failed.Request}, []delivery.Delivery{{WebhookID: w.ID, Status: delivery.DeliveryFailed}})
	success := succeeded(manual(f.outcome(added), delivery.TriggerReplay))
	f.complete(success)
	f.wantAdded(&e, w, delivery.DeliverySuccess, 2)
	f.complete(succeeded(f.outcome(job)))
	f.addDelivery(first, &e, false)
	if rows := f.pages(tenant, filter); len(rows) != 2 {
		f.Errorf("the delivery has the requests %+v", rows)
	}
	f.wantAdded(&e, w, delivery.DeliverySuccess, 2)
	for _, listed := range f.eventList(tenant, delivery.EventFilter{Limit: 10}) {
		if listed.Deliveries != 1 {
			f.Errorf("the list has %+v", listed)
		}
	}
}

// testAddDeliveryKinds adds deliveries to events that are stored in other ways, and to what is not there.
func testAddDeliveryKinds(f *fixture) {
	w, gone := f.webhook(tenant), f.webhook(tenant)
	chosen, none, test, erased := f.event(w), f.event(), f.event(), f.event(w)
	chosen.ID, test.Test = uuid.New(), true
	chosen.Payload = []byte(`{"of":"another form"}`)
	result := f.accept(0, chosen, none, test, erased)
	f.must(f.store.EraseEvent(f.Context(), tenant, erased.ID))
	later := f.webhook(tenant)
	for i, a := range []*delivery.AcceptEvent{&chosen, &none} {
		e := &delivery.Event{
			Tenant: tenant, ID: a.ID, Type: a.Type, OccurredAt: a.OccurredAt, ReceivedAt: result.At, Payload: a.Payload,
		}
		f.addDelivery(later, e, true)
		f.addDelivery(later, e, false)
		f.wantAdded(e, later, delivery.DeliveryFailed, 2-i)
		f.addDelivery(gone, e, true)
		f.wantAdded(e, gone, delivery.DeliveryFailed, 3-i)
	}
	f.must(f.store.DeleteWebhook(f.Context(), gone.Ref()))
	other := f.webhook("other")
	for what, x := range map[string]struct {
		webhook *delivery.Webhook
		event   uuid.UUID
	}{
		"a test": {later, test.ID}, "an erased event": {later, erased.ID}, "an erased event that goes to the webhook": {w, erased.ID},
		"no event": {later, delivery.NewID(f.store.Now())}, "a deleted webhook": {gone, chosen.ID},
		"no webhook": {f.newWebhook(tenant), chosen.ID}, "another tenant's webhook": {other, chosen.ID},
	} {
		if e, added, err := f.store.AddDelivery(f.Context(), x.webhook.Ref(), x.event); !errors.Is(err, delivery.ErrNotFound) || e != nil || added {
			f.Errorf("%s: %+v, %t, %v", what, e, added, err)
		}
	}
	if _, _, err := f.store.AddDelivery(f.Context(), delivery.WebhookRef{Tenant: tenant, ID: other.ID}, chosen.ID); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("another tenant's webhook: %v", err)
	}
	f.must(f.store.EraseEvent(f.Context(), tenant, none.ID))
	if e, deliveries, err := f.store.Event(f.Context(), tenant, none.ID); err != nil || !e.Erased || len(deliveries) != 1 || deliveries[0].Status != delivery.DeliveryFailed {
		f.Errorf("once it is erased: %+v, %+v, %v", e, deliveries, err)
	}
}

// addSome adds deliveries to events, which may have them already, and has some of them sent.
func (r *randomRun) addSome() {
	for range 1 + r.rand.IntN(4) {
		w := r.someWebhook()
		if w == nil || len(r.events) == 0 {
			return
		}
		key := r.events[r.rand.IntN(len(r.events))]
		if key.tenant == w.Tenant {
			r.addOne(w, key)
		}
	}
}

func (r *randomRun) addOne(w *delivery.Webhook, key eventKey) {
	e := r.model.events[key]
	got, added, err := r.store.AddDelivery(r.Context(), w.Ref(), key.id)
	if e.Erased || e.test {
		if !errors.Is(err, delivery.ErrNotFound) {
			r.Fatalf("a delivery of %+v was added: %v", e.Event, err)
		}
		return
	}
	r.must(err)
	known := e.deliveries[w.ID] != nil
	if added == known || !reflect.DeepEqual(got, &e.Event) {
		r.Fatalf("a delivery of %+v was added: %t, of %+v, and it was there: %t", got, added, e.Event, known)
	}
	if !known {
		e.deliveries[w.ID] = &modelDelivery{Delivery: delivery.Delivery{WebhookID: w.ID, Status: delivery.DeliveryFailed}}
		e.added++
	}
	if r.chance(30) {
		return
	}
	o := manual(r.outcome(&delivery.Job{Webhook: w, Event: &e.Event}), delivery.TriggerReplay)
	if r.chance(50) {
		o = succeeded(o)
	}
	r.complete(o)
	r.outcomes = append(r.outcomes, o)
	r.model.complete(&o)
}
