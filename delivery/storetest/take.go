package storetest

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// take leases one delivery.
func (f *fixture) take(job *delivery.Job) delivery.Job {
	f.Helper()
	taken, err := f.store.Take(f.Context(), job.Webhook.Ref(), job.Event.ID, held)
	f.must(err)
	if taken.Event.ID != job.Event.ID || taken.Event.Type != job.Event.Type || !taken.Event.ReceivedAt.Equal(job.Event.ReceivedAt) || taken.Webhook.URL != job.Webhook.URL {
		f.Errorf("took %+v of %+v, want that of %+v", taken, taken.Event, job.Event)
	}
	return taken
}

func (f *fixture) wantTake(what string, ref delivery.WebhookRef, event uuid.UUID, want error) {
	f.Helper()
	if _, err := f.store.Take(f.Context(), ref, event, held); !errors.Is(err, want) {
		f.Errorf("%s: %v, want %v", what, err, want)
	}
}

// testTake takes deliveries that wait, and no others. What is taken is claimed by nobody else.
func testTake(f *fixture) {
	w, other := f.webhook(tenant), f.webhook(tenant)
	e := f.event(w)
	result := f.accept(held, e)
	waiting := &delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: result.At}}
	taken := f.take(waiting)
	if taken.Attempt != 1 {
		f.Errorf("attempt %d is to be made first", taken.Attempt)
	}
	f.wantTake("what is taken", w.Ref(), e.ID, delivery.ErrInFlight)
	if jobs := f.claim(wideRoom).Jobs; len(jobs) > 0 {
		f.Errorf("what is taken is claimed: %+v", jobs)
	}
	f.must(f.store.Release(f.Context(), []delivery.Lease{{Webhook: w.Ref(), EventID: e.ID, LeaseEnd: taken.LeaseEnd}}))
	taken = f.take(waiting)
	o := f.outcome(&taken)
	f.complete(retried(o, f.store.Now().Add(2*time.Hour)))
	again := f.take(waiting) // although it is due in two hours
	if again.Attempt != 2 {
		f.Errorf("attempt %d is to be made next", again.Attempt)
	}
	f.wantTake("a retry that is taken", w.Ref(), e.ID, delivery.ErrInFlight)
	f.must(f.store.Release(f.Context(), []delivery.Lease{{Webhook: w.Ref(), EventID: e.ID, LeaseEnd: again.LeaseEnd}}))
	jobs := f.claim(wideRoom).Jobs
	if len(jobs) != 1 || jobs[0].Attempt != 2 {
		f.Fatalf("what was given back is claimed as %+v", jobs)
	}
	f.wantTake("a retry that is claimed", w.Ref(), e.ID, delivery.ErrInFlight)
	f.complete(f.outcome(&jobs[0]))
	f.wantTake("what has failed", w.Ref(), e.ID, delivery.ErrDeliveryEnded)

	born := f.bornLeased(w, held)
	f.wantTake("what was born leased", w.Ref(), born.Event.ID, delivery.ErrInFlight)
	lost := f.bornLeased(w, ended)
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	taken = f.take(lost)
	f.complete(f.outcome(&taken))
	f.wantDelivery(lost, delivery.DeliveryFailed, 1, time.Time{})

	f.wantTake("an event of another webhook", other.Ref(), e.ID, delivery.ErrNotFound)
	f.wantTake("an unknown event", w.Ref(), delivery.NewID(f.store.Now()), delivery.ErrNotFound)
	f.wantTake("another tenant", delivery.WebhookRef{Tenant: "other", ID: w.ID}, born.Event.ID, delivery.ErrNotFound)
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	f.wantTake("a deleted webhook", w.Ref(), born.Event.ID, delivery.ErrNotFound)
}
