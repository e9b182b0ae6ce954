package delivery_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// payload is the envelope of an event of some 500 bytes.
var payload = fmt.Appendf(nil, `{"event_type":"alert_active","event_id":"0198c5a4-7d2b-7cc1-9f0e-3b1d52a4c6f7","occurred_at":"2026-03-13T18:30:00Z","data":{"text":"%0380d"}}`, 0)

func BenchmarkSignature(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		delivery.Signature("a secret of the usual length, say", payload)
	}
}

// BenchmarkEngine takes events from Emit to their outcomes, one or a hundred in a call.
// The store is in memory and endpoints answer at once, so that it measures the engine
// itself, and what that store costs.
func BenchmarkEngine(b *testing.B) {
	for _, events := range []int{1, 100} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			store := flaky.New()
			e := delivery.NewEngine(store)
			var delivered sync.WaitGroup
			e.SendWith(answering(func() { delivered.Done() }))
			detach := e.Attach(delivery.DefaultSettings(), zap.NewNop())
			defer func() {
				detach()
				if err := e.Close(context.Background()); err != nil {
					b.Error(err)
				}
			}()
			if _, err := e.CreateWebhook(b.Context(), delivery.Webhook{
				Tenant: tenant, URL: "https://receiver.example/hooks", Secret: "secret", Enabled: true, EventTypes: []string{delivery.AllEventTypes},
			}); err != nil {
				b.Fatal(err)
			}
			call := make([]delivery.NewEvent, events)
			for i := range call {
				call[i] = delivery.NewEvent{Type: "alert_active", Data: payload}
			}
			b.ReportAllocs()
			for b.Loop() {
				delivered.Add(events)
				if _, err := e.Emit(b.Context(), tenant, call); err != nil {
					b.Fatal(err)
				}
				delivered.Wait()
			}
		})
	}
}

// answering is a Sender whose endpoints answer at once.
type answering func()

func (a answering) Send(context.Context, sender.Message) sender.Response {
	a()
	return sender.Response{StatusCode: 204}
}

func (answering) Close() {}

// BenchmarkID makes ids such as events and requests have.
func BenchmarkID(b *testing.B) {
	now := time.Unix(1_773_426_600, 0)
	b.ReportAllocs()
	for b.Loop() {
		if delivery.NewID(now) == uuid.Nil {
			b.Fatal("no id")
		}
	}
}
