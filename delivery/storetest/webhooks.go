package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func testWebhookChanges(f *fixture) {
	if all, version, err := Webhooks(f.Context(), f.store, tenant); err != nil || len(all) != 0 || version != 0 {
		f.Fatalf("a new tenant has %v, version %d, %v", all, version, err)
	}
	var made []*delivery.Webhook
	for i := range 3 {
		w := f.newWebhook(tenant)
		w.CreatedAt = w.CreatedAt.Add(time.Duration(i) * time.Second)
		w.EventTypes = []string{"alert_active", "device_created"}[:1+i%2]
		w.Enabled = i != 1
		w.RateLimit = &delivery.RateLimit{Requests: delivery.MaxRateRequests, Per: delivery.MaxRatePer}
		f.must(f.store.CreateWebhook(f.Context(), w, delivery.MaxWebhooks))
		made = append(made, w)
	}
	f.wantWebhooks(tenant, made)
	f.wantWebhooks("other", nil)

	before := f.version(tenant)
	f.update(made[1], func(w *delivery.Webhook) {
		w.Secret, w.Description, w.Enabled, w.URL = "", "", true, "https://example.org/new"
		w.Filter, w.Transform, w.OrderBy = "", "", ""
		w.Retry, w.Concurrency, w.DisabledReason = nil, 0, delivery.DisabledGone
		w.ClientCertificate, w.RateLimit = nil, nil
		w.SecretChangedAt, w.PreviousSecret, w.PreviousSecretUntil = time.Time{}, "", time.Time{}
		w.Headers, w.Metadata, w.Timeout, w.Authorization = nil, map[string]string{"other": ""}, 0, nil
		*made[1] = *w
	})
	if after := f.version(tenant); after <= before {
		f.Errorf("the version went from %d to %d by an update", before, after)
	}
	f.wantWebhooks(tenant, made)

	before = f.version(tenant)
	f.must(f.store.DeleteWebhook(f.Context(), made[0].Ref()))
	if after := f.version(tenant); after <= before {
		f.Errorf("the version went from %d to %d by a deletion", before, after)
	}
	f.wantWebhooks(tenant, made[1:])
}

// wantWebhooks compares the list of webhooks, and each webhook that is read by itself.
func (f *fixture) wantWebhooks(tenant string, want []*delivery.Webhook) {
	f.Helper()
	got, version, err := Webhooks(f.Context(), f.store, tenant)
	f.must(err)
	if len(got) != len(want) {
		f.Fatalf("there are %d webhooks, want %d", len(got), len(want))
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			f.Errorf("webhook %d is\n%+v, want\n%+v", i, got[i], want[i])
		}
		one, v, err := f.store.Webhook(f.Context(), want[i].Ref())
		f.must(err)
		if !reflect.DeepEqual(one, want[i]) || v != version {
			f.Errorf("webhook %d alone is %+v at version %d, want %+v at %d", i, one, v, want[i], version)
		}
	}
}

func testWebhookConflicts(f *fixture) {
	w := f.webhook(tenant)
	_, version, err := f.store.Webhook(f.Context(), w.Ref())
	f.must(err)
	f.webhook(tenant)
	changed := *w
	changed.URL = "https://example.org/changed"
	if err := f.store.UpdateWebhook(f.Context(), &changed, version); !errors.Is(err, delivery.ErrConflict) {
		f.Fatalf("an update of an old version: %v, want a conflict", err)
	}
	if now, _, _ := f.store.Webhook(f.Context(), w.Ref()); now.URL != w.URL {
		f.Error("the update that met a conflict was written")
	}
}

func testWebhookAbsent(f *fixture) {
	w := f.newWebhook(tenant)
	other := f.webhook("other")
	moved := *other
	moved.Tenant = tenant
	if _, _, err := f.store.Webhook(f.Context(), w.Ref()); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("Webhook: %v", err)
	}
	if _, _, err := f.store.Webhook(f.Context(), moved.Ref()); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("Webhook of another tenant: %v", err)
	}
	if err := f.store.UpdateWebhook(f.Context(), w, 0); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("UpdateWebhook: %v", err)
	}
	for _, ref := range []delivery.WebhookRef{w.Ref(), moved.Ref(), {Tenant: tenant, ID: uuid.Nil}} {
		if err := f.store.DeleteWebhook(f.Context(), ref); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("DeleteWebhook of %v: %v", ref, err)
		}
	}
	f.wantWebhooks("other", []*delivery.Webhook{other})
}

func testMostWebhooks(f *fixture) {
	all := make([]*delivery.Webhook, delivery.MaxWebhooks)
	for i := range all {
		all[i] = f.newWebhook(tenant)
	}
	fill(f, all, func(batch *delivery.Batch, w *delivery.Webhook) {
		batch.AddWebhook(delivery.StoredWebhook{Webhook: *w})
	}, func(w *delivery.Webhook) error {
		return f.store.CreateWebhook(f.Context(), w, delivery.MaxWebhooks)
	})
	if err := f.store.CreateWebhook(f.Context(), f.newWebhook(tenant), delivery.MaxWebhooks); !errors.Is(err, delivery.ErrTooManyWebhooks) {
		f.Fatalf("one webhook more: %v", err)
	}
	f.must(f.store.DeleteWebhook(f.Context(), all[0].Ref()))
	f.webhook(tenant)

	// An event for as many webhooks as there can be.
	e := f.event(all[1:]...)
	f.accept(held, e)
	_, deliveries, err := f.store.Event(f.Context(), tenant, e.ID)
	f.must(err)
	if len(deliveries) != len(all)-1 {
		f.Errorf("the event has %d deliveries, want %d", len(deliveries), len(all)-1)
	}
}
