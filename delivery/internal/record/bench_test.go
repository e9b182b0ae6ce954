package record_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// BenchmarkRecords encodes and decodes what stores keep of an event of 500 bytes and of a
// request.
func BenchmarkRecords(b *testing.B) {
	at := time.Unix(1_773_426_600, 0)
	event := &record.Event{
		Type: "alert_active", OccurredAt: at, Targets: make([]byte, 16), Payload: bytes.Repeat([]byte("x"), 500),
	}
	request := &delivery.Request{
		EventType: "alert_active", OccurredAt: at, Trigger: delivery.TriggerEvent, Attempt: 1, MaxAttempts: 3,
		StatusCode: 204, URL: "https://receiver.example/hooks", Duration: 12 * time.Millisecond,
		Headers: delivery.RequestHeaders{UserAgent: "Caddy-Webhooks", SignatureHeader: "X-Level-Signature"},
	}
	encodedEvent, encodedRequest := record.AppendEvent(nil, event), record.AppendRequest(nil, request)
	for name, do := range map[string]func() error{
		"write event": func() error {
			record.AppendEvent(nil, event)
			return nil
		},
		"read event": func() error {
			_, err := record.DecodeEvent(encodedEvent)
			return err
		},
		"write request": func() error {
			record.AppendRequest(nil, request)
			return nil
		},
		"read request": func() error {
			_, err := record.DecodeRequest(encodedRequest)
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
