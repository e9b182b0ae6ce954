package delivery_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// audited is an Audit that says what it was told.
func audited(action delivery.Action) delivery.Audit {
	return func(before, after *delivery.Webhook) *delivery.AuditEntry {
		entry := &delivery.AuditEntry{By: "alice", Action: action}
		if before != nil {
			entry.Before = []byte(before.URL)
		}
		if after != nil {
			entry.After = []byte(after.URL)
		}
		return entry
	}
}

// wantAudit takes the newest entry of the audit log, and checks it and how many there are.
func wantAudit(t *testing.T, r *running, n int, action delivery.Action, before, after string) {
	t.Helper()
	page, err := r.AuditEntries(t.Context(), tenant, delivery.AuditFilter{Limit: 100})
	if err != nil || len(page.Entries) != n {
		t.Fatalf("%d entries, %v, want %d", len(page.Entries), err, n)
	}
	got := page.Entries[0]
	if got.Action != action || string(got.Before) != before || string(got.After) != after || got.By != "alice" ||
		got.Tenant != tenant || got.WebhookID == uuid.Nil || !got.At().Equal(r.store.Now().Truncate(time.Millisecond)) {
		t.Errorf("the entry is %+v, at %s", got, got.At())
	}
}

// TestAudit checks that each action has its entry, and that what is refused has none.
func TestAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		step := func() { time.Sleep(time.Minute) }
		const old, changed = "https://a.example", "https://b.example"
		w, err := r.CreateWebhook(t.Context(), delivery.Webhook{Tenant: tenant, URL: old, Enabled: true, EventTypes: []string{"*"}}, audited(delivery.ActionWebhookCreated))
		if err != nil {
			t.Fatal(err)
		}
		wantAudit(t, r, 1, delivery.ActionWebhookCreated, "", old)
		step()
		change := func(w *delivery.Webhook) { w.URL = changed }
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), change, audited(delivery.ActionWebhookChanged)); err != nil {
			t.Fatal(err)
		}
		wantAudit(t, r, 2, delivery.ActionWebhookChanged, old, changed)
		step()
		sent, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte("{}")}, audited(delivery.ActionWebhookTested))
		if err != nil {
			t.Fatal(err)
		}
		wantAudit(t, r, 3, delivery.ActionWebhookTested, changed, changed)
		step()
		if _, err := r.Rerun(t.Context(), tenant, sent.ID, audited(delivery.ActionRequestRerun)); err != nil {
			t.Fatal(err)
		}
		wantAudit(t, r, 4, delivery.ActionRequestRerun, changed, changed)
		step()

		// What is refused.
		nothing := delivery.WebhookRef{Tenant: tenant, ID: uuid.New()}
		_, changeErr := r.ChangeWebhook(t.Context(), nothing, change, audited("never"))
		_, rerunErr := r.Rerun(t.Context(), tenant, nothing.ID, audited("never"))
		_, testErr := r.Test(t.Context(), tenant, nothing.ID, delivery.NewEvent{Type: "alert_active"}, audited("never"))
		deleteErr := r.DeleteWebhook(t.Context(), nothing, audited("never"))
		for _, err := range []error{changeErr, rerunErr, testErr, deleteErr} {
			if !errors.Is(err, delivery.ErrNotFound) {
				t.Errorf("the error is %v", err)
			}
		}
		if err := r.DeleteWebhook(t.Context(), w.Ref(), audited(delivery.ActionWebhookDeleted)); err != nil {
			t.Fatal(err)
		}
		wantAudit(t, r, 5, delivery.ActionWebhookDeleted, changed, "")
	})
}

// TestNothingIsSentUnaudited checks that nothing is stored or sent if its entry cannot be
// written, and that the answer promises so.
func TestNothingIsSentUnaudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		w := r.webhook("https://a.example")
		sent, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		accepts := r.store.Calls("Accept")
		for _, fault := range []error{delivery.ErrFull, delivery.ErrUnavailable, errors.New("no answer")} {
			r.store.Fail(func(op string) error {
				if op == "WriteAuditEntry" {
					return fault
				}
				return nil
			})
			_, testErr := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte("{}")}, audited(delivery.ActionWebhookTested))
			_, rerunErr := r.Rerun(t.Context(), tenant, sent.ID, audited(delivery.ActionRequestRerun))
			for _, err := range []error{testErr, rerunErr} {
				if !errors.Is(err, fault) || !errors.Is(err, delivery.ErrFull) && !errors.Is(err, delivery.ErrUnavailable) {
					t.Errorf("%v: the error is %v", fault, err)
				}
			}
		}
		synctest.Wait()
		page, err := r.Requests(t.Context(), tenant, delivery.RequestFilter{Limit: 10})
		if err != nil || len(page.Requests) != 1 || r.store.Calls("Accept") != accepts {
			t.Errorf("%d requests, %v, and %d events", len(page.Requests), err, r.store.Calls("Accept")-accepts)
		}
	})
}
