package storetest

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// testCopyAdded copies an event to which deliveries were added: one of which nothing was sent, one that
// has failed, and one that has succeeded. In the copy each stands as it did, and can be sent.
func testCopyAdded(t *testing.T, from, to delivery.Copyable) {
	f := &fixture{T: t, store: from}
	w := f.webhooks(tenant, 4)
	job := f.bornLeased(w[0], held)
	f.complete(succeeded(f.outcome(job)))
	e := *job.Event
	for _, w := range w[1:] {
		f.addDelivery(w, &e, true)
	}
	failed := manual(f.outcome(&delivery.Job{Webhook: w[2], Event: &e}), delivery.TriggerReplay)
	f.complete(failed, succeeded(manual(f.outcome(&delivery.Job{Webhook: w[3], Event: &e}), delivery.TriggerReplay)))
	f.copy(from, to)

	f.store = to
	if added := f.copy(from, to); added != 0 {
		t.Errorf("the second copy added %d things", added)
	}
	f.wantAdded(&e, w[1], delivery.DeliveryFailed, 4)
	f.wantAdded(&e, w[2], delivery.DeliveryFailed, 4)
	f.wantAdded(&e, w[3], delivery.DeliverySuccess, 4)
	f.wantStanding("the copy", []delivery.Request{failed.Request}, []delivery.Delivery{{WebhookID: w[2].ID, Status: delivery.DeliveryFailed}})
	f.nothingDue()
	for _, w := range w[1:3] {
		f.addDelivery(w, &e, false)
		f.complete(succeeded(manual(f.outcome(&delivery.Job{Webhook: w, Event: &e}), delivery.TriggerReplay)))
		f.wantAdded(&e, w, delivery.DeliverySuccess, 4)
	}
	later := f.webhook(tenant)
	f.addDelivery(later, &e, true)
	f.wantAdded(&e, later, delivery.DeliveryFailed, 5)
}
