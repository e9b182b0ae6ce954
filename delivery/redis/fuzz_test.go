package redis

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// FuzzRecords reads arbitrary values, which must be decoded or refused: another program or
// another version may have written them.
func FuzzRecords(f *testing.F) {
	w := &delivery.Webhook{
		Tenant: testTenant, ID: delivery.NewID(time.Unix(1, 0)), URL: "https://example.com/", Secret: "hush",
		Enabled: true, EventTypes: []string{delivery.AllEventTypes}, CreatedAt: time.Unix(1, 0), UpdatedAt: time.Unix(1, 0),
	}
	event := &delivery.AcceptEvent{ID: w.ID, Type: "a", OccurredAt: time.Unix(1, 2), Payload: []byte("{}"), Targets: []delivery.Target{{Webhook: w.ID}}}
	request := &delivery.Request{WebhookID: w.ID, EventID: w.ID, EventType: "a", Status: delivery.RequestSuccess, StatusCode: 200}
	f.Add(string(record.EncodeWebhook(w, nil)))
	f.Add("0000000001000" + string(encodeEvent(event, uuid.Nil, 0)))
	f.Add(headlessEvent)
	f.Add(string(make([]byte, scriptHeadSize)) + string(encodeRequest(request)))
	f.Add("p" + string(make([]byte, record.DeliverySize-1)))
	f.Add("")
	f.Fuzz(func(t *testing.T, stored string) {
		if w, err := decodeWebhook(testTenant, uuid.Nil.String(), stored, nil); err == nil && w == nil {
			t.Error("no webhook and no error")
		}
		if e, err := decodeEvent(testTenant, uuid.Nil, stored); err == nil {
			if e == nil {
				t.Fatal("no event and no error")
			}
			if d, err := record.DecodeDelivery([]byte(stored)); err == nil && d.Of(&e.Event, e.test, uuid.Nil).Attempts < 0 {
				t.Errorf("%d attempts", d.Attempts)
			}
		}
		if r, err := decodeRequest(testTenant, uuid.Nil, stored); err == nil && r.Status == "" {
			t.Error("a request without a status")
		}
	})
}
