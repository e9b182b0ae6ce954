package storetest

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Load is work for a store as on a busy day: events of 500 bytes, each with one delivery that
// is born leased and succeeds. The zero value has one webhook.
type Load struct {
	Store delivery.Store
	// Webhooks is how many there are, each of its own tenant. Events go to them in turn.
	Webhooks int
	// ForeignIDs makes the ids of events random, as emitters may choose them.
	ForeignIDs bool
	// Size makes payloads of so many bytes that begin like envelopes.
	Size int

	webhooks []*delivery.Webhook
	versions []int64 // of the tenants' webhooks
	payload  []byte
	next     int
}

// Begin creates the webhooks.
func (l *Load) Begin(b testing.TB) {
	b.Helper()
	l.payload = make([]byte, 500)
	for i := range max(1, l.Webhooks) {
		now := l.Store.Now().Truncate(time.Millisecond)
		w := &delivery.Webhook{
			Tenant: "load-" + strconv.Itoa(i), ID: delivery.NewID(l.Store.Now()), URL: "https://example.com/hook", Secret: "s3cret",
			Enabled: true, EventTypes: []string{delivery.AllEventTypes}, CreatedAt: now, UpdatedAt: now,
		}
		if err := l.Store.CreateWebhook(b.Context(), w, delivery.MaxWebhooks); err != nil {
			b.Fatal(err)
		}
		_, version, err := Webhooks(b.Context(), l.Store, w.Tenant)
		if err != nil {
			b.Fatal(err)
		}
		l.webhooks, l.versions = append(l.webhooks, w), append(l.versions, version)
	}
}

// Call makes a call with n events for the next webhook.
func (l *Load) Call(n int, lease bool) delivery.AcceptCall {
	w, version := l.webhooks[l.next%len(l.webhooks)], l.versions[l.next%len(l.webhooks)]
	l.next++
	call := delivery.AcceptCall{Tenant: w.Tenant, Version: version, Nonce: uuid.New(), Events: make([]delivery.AcceptEvent, n)}
	for i := range call.Events {
		id := delivery.NewID(l.Store.Now())
		if l.ForeignIDs {
			id = uuid.New()
		}
		call.Events[i] = delivery.AcceptEvent{
			ID: id, New: !l.ForeignIDs, Type: "alert_active", OccurredAt: l.Store.Now().Truncate(time.Millisecond), Payload: l.payload,
			Targets: []delivery.Target{{Webhook: w.ID, Lease: lease}},
		}
		if e := &call.Events[i]; l.Size > 0 {
			e.Payload = delivery.AppendEnvelopeHead(make([]byte, 0, l.Size), e.Type, e.ID, e.OccurredAt)[:l.Size]
		}
	}
	return call
}

// Accept accepts a batch of events, each in its own call.
func (l *Load) Accept(b testing.TB, n int, lease bool) ([]delivery.AcceptCall, []delivery.Accepted) {
	b.Helper()
	calls, results, err := l.accept(b, n, lease)
	if err != nil {
		b.Fatal(err)
	}
	return calls, results
}

func (l *Load) accept(b testing.TB, n int, lease bool) ([]delivery.AcceptCall, []delivery.Accepted, error) {
	b.Helper()
	calls := make([]delivery.AcceptCall, n)
	for i := range calls {
		calls[i] = l.Call(1, lease)
	}
	results := l.Store.Accept(b.Context(), delivery.AcceptBatch{Calls: calls, Lease: held, Retention: retention})
	for i := range results {
		if results[i].Err != nil {
			return nil, nil, results[i].Err
		}
	}
	return calls, results, nil
}

// Complete delivers every event of a batch at the first attempt.
func (l *Load) Complete(b testing.TB, calls []delivery.AcceptCall, accepted []delivery.Accepted) {
	b.Helper()
	outcomes := l.outcomes(calls, accepted)
	if err := errors.Join(l.Store.Complete(b.Context(), outcomes)...); err != nil {
		b.Fatal(err)
	}
	clear(outcomes) // which a store must not keep
}

// outcomes are the successes of the first attempts of a batch.
func (l *Load) outcomes(calls []delivery.AcceptCall, accepted []delivery.Accepted) []delivery.Outcome {
	outcomes := make([]delivery.Outcome, len(calls))
	for i := range calls {
		e := &calls[i].Events[0]
		event := delivery.Event{Tenant: calls[i].Tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt}
		of := delivery.WebhookRef{Tenant: calls[i].Tenant, ID: e.Targets[0].Webhook}
		outcomes[i] = delivery.Outcome{
			Request:    l.success(&event, e.Targets[0].Webhook, delivery.FirstRequestID(of, e.ID, accepted[i].At)),
			ReceivedAt: accepted[i].At, LeaseEnd: accepted[i].LeaseEnd,
		}
	}
	return outcomes
}

// success is the request of an event's first attempt.
func (l *Load) success(e *delivery.Event, webhook, id uuid.UUID) delivery.Request {
	return delivery.Request{
		Tenant: e.Tenant, ID: id, WebhookID: webhook, EventID: e.ID, EventType: e.Type,
		OccurredAt: e.OccurredAt, Trigger: delivery.TriggerEvent, Attempt: 1, MaxAttempts: 3,
		Status: delivery.RequestSuccess, StatusCode: 200, URL: "https://example.com/hook", Duration: 5 * time.Millisecond,
		Headers: delivery.RequestHeaders{UserAgent: "Caddy-Webhooks", SignatureHeader: "X-Level-Signature"},
	}
}

// Run accepts and delivers b.N events, in batches.
func (l *Load) Run(b *testing.B, batch int) {
	b.Helper()
	b.ReportAllocs()
	for done := 0; b.Loop(); done++ {
		if done%batch == 0 { // b.N counts events
			calls, accepted := l.Accept(b, batch, true)
			l.Complete(b, calls, accepted)
		}
	}
}

// Stats measures reading the statistics of 10,000 webhooks of a tenant, and of a few of them.
// In each of the last 24 hours, each webhook was sent requests of 8 event types, a tenth of
// which failed.
func Stats(b *testing.B, store delivery.Copyable) {
	b.Helper()
	ids := fillDay(b, store, 10_000)
	for _, n := range []int{len(ids), 20} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				if _, err := store.WebhookRequests(b.Context(), tenant, ids[:n], store.Now().Add(-23*time.Hour)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// fillDay makes webhooks with a day of requests.
func fillDay(b *testing.B, store delivery.Copyable, webhooks int) (ids []uuid.UUID) {
	b.Helper()
	batch := new(delivery.Batch)
	flush := func() {
		b.Helper()
		if _, err := store.Import(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		batch = new(delivery.Batch)
	}
	now := store.Now()
	for range webhooks {
		w := delivery.Webhook{
			Tenant: tenant, ID: delivery.NewID(now), URL: "https://example.com/hook", Enabled: true,
			EventTypes: []string{delivery.AllEventTypes}, CreatedAt: now, UpdatedAt: now,
		}
		ids = append(ids, w.ID)
		if batch.AddWebhook(delivery.StoredWebhook{Webhook: w}); batch.Full() {
			flush()
		}
	}
	flush()
	for n := range 24 * webhooks * 8 {
		began := now.Add(-time.Duration(23-n/8/webhooks) * time.Hour)
		r := delivery.Request{
			Tenant: tenant, ID: delivery.NewID(began), WebhookID: ids[n/8%webhooks], EventID: uuid.New(),
			EventType: "type_" + strconv.Itoa(n%8), OccurredAt: began, Trigger: delivery.TriggerEvent, Attempt: 1, MaxAttempts: 3,
			Status: delivery.RequestSuccess, StatusCode: 200, URL: "https://example.com/hook", Duration: 5 * time.Millisecond,
		}
		if n%10 == 0 {
			r.Status, r.StatusCode = delivery.RequestFailed, 503
		}
		if batch.AddRequest(delivery.StoredRequest{Request: r}); batch.Full() {
			flush()
		}
	}
	flush()
	return ids
}
