package embedded

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestOrderAfterOpen closes and opens a store whose deliveries wait for each other: each process goes
// on where the one before ended.
func TestOrderAfterOpen(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &delivery.Webhook{Tenant: "acme", ID: uuid.New(), URL: "https://example.com", Enabled: true, EventTypes: []string{"*"}}
	if err := s.CreateWebhook(t.Context(), w, delivery.MaxWebhooks); err != nil {
		t.Fatal(err)
	}
	const events = 4
	var ids []uuid.UUID
	call := delivery.AcceptCall{Tenant: "acme", Nonce: uuid.New()}
	_, call.Version, _ = s.Webhook(t.Context(), w.Ref())
	for range events {
		e := delivery.AcceptEvent{ID: delivery.NewID(s.Now()), New: true, Type: "x", Payload: []byte(`{}`)}
		e.Targets = []delivery.Target{{Webhook: w.ID, Order: delivery.OrderKey{1}}}
		call.Events, ids = append(call.Events, e), append(ids, e.ID)
	}
	if err := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Hour, Retention: time.Hour})[0].Err; err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		for attempt := 1; attempt <= 2; attempt++ { // the first one is to be tried again
			claimed, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 10, PerWebhook: 10, Lease: time.Hour})
			if err != nil || len(claimed.Jobs) != 1 || claimed.Jobs[0].Event.ID != id || claimed.Jobs[0].Attempt != attempt {
				t.Fatalf("delivery %d, attempt %d: claimed %+v, %v", i, attempt, claimed.Jobs, err)
			}
			job := &claimed.Jobs[0]
			o := delivery.Outcome{ReceivedAt: job.Event.ReceivedAt, LeaseEnd: job.LeaseEnd, Request: delivery.Request{
				Tenant: "acme", ID: delivery.NewID(s.Now()), WebhookID: w.ID, EventID: id, EventType: "x",
				Trigger: delivery.TriggerEvent, Attempt: attempt, Status: delivery.RequestFailed,
			}}
			if attempt == 1 {
				o.RetryAt = s.Now().Add(-time.Minute)
			}
			if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if report, err := Check(t.Context(), folder); err != nil || len(report.Damages) > 0 {
				t.Fatalf("the check says %+v, %v", report, err)
			}
			s = New(folder)
			if err := s.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n, err := s.Pending(t.Context()); err != nil || int(n) != events-i-attempt+1 {
				t.Fatalf("delivery %d, attempt %d: %d are pending, %v", i, attempt, n, err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkOrdered accepts and delivers events whose deliveries have order keys. The figures are per
// event.
func BenchmarkOrdered(b *testing.B) {
	for _, keys := range []int{16, 1000} {
		b.Run(fmt.Sprintf("128/keys=%d", keys), func(b *testing.B) {
			load := storetest.Load{Store: open(b, b.TempDir())}
			load.Begin(b)
			load.RunOrdered(b, 128, keys)
		})
	}
}
