package storetest

import (
	"errors"
	"reflect"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// testResend reads what it takes to send a request again, while everything is there, and once one
// thing after another is gone.
func testResend(f *fixture) {
	w := f.webhook(tenant)
	job := f.bornLeased(w, held)
	o := f.outcome(job)
	f.complete(o)
	wantNone := func(what, tenant string, id uuid.UUID) {
		f.Helper()
		if _, _, err := f.store.Resend(f.Context(), tenant, id); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("%s: %v, want that it is not found", what, err)
		}
	}
	wantNone("another tenant", "other", o.Request.ID)
	wantNone("an unknown request", tenant, delivery.NewID(f.store.Now()))
	f.wantResend(&o.Request, w, job.Event)

	changed, version := *w, f.version(tenant)
	changed.URL, changed.Secret, changed.Enabled = "https://changed.example/", "other", false
	f.must(f.store.UpdateWebhook(f.Context(), &changed, version))
	f.wantResend(&o.Request, &changed, job.Event)

	// An event that has taken the id since is not the one that was sent.
	later := manual(f.outcome(job), delivery.TriggerRerun)
	later.Request.ID = delivery.NewID(job.Event.ReceivedAt.Add(-48 * 3600e9))
	f.complete(later)
	f.wantResend(&later.Request, &changed, nil)

	unknown := manual(f.outcome(&delivery.Job{Webhook: w, Event: &delivery.Event{
		Tenant: tenant, ID: delivery.NewID(f.store.Now()), Type: job.Event.Type, OccurredAt: job.Event.OccurredAt, ReceivedAt: f.store.Now(),
	}}), delivery.TriggerRerun)
	f.complete(unknown)
	f.wantResend(&unknown.Request, &changed, nil)

	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	wantNone("a deleted webhook", tenant, o.Request.ID)
}

// wantResend reads what it takes to send a request again.
func (f *fixture) wantResend(r *delivery.Request, w *delivery.Webhook, e *delivery.Event) {
	f.Helper()
	gotWebhook, gotEvent, err := f.store.Resend(f.Context(), r.Tenant, r.ID)
	f.must(err)
	if !reflect.DeepEqual(gotWebhook, w) || !reflect.DeepEqual(gotEvent, e) {
		f.Errorf("request %s is sent again by\n%+v, %+v,\nwant\n%+v, %+v", r.ID, gotWebhook, gotEvent, w, e)
	}
}
