package embedded

import (
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// FuzzRecords reads arbitrary bytes, which must be decoded or refused: a disk may return
// anything, and another version may have written the file.
func FuzzRecords(f *testing.F) {
	w := &delivery.Webhook{
		Tenant: crashTenant, ID: delivery.NewID(time.Unix(1, 0)), URL: "https://example.com/", Secret: "hush",
		Enabled: true, EventTypes: []string{delivery.AllEventTypes}, CreatedAt: time.Unix(1, 0), UpdatedAt: time.Unix(1, 0),
	}
	e := &delivery.AcceptEvent{ID: w.ID, Type: "a", OccurredAt: time.Unix(1, 2), Payload: []byte("{}")}
	f.Add(encodeWebhook(newTenant(crashTenant, 1), w, nil))
	f.Add(appendEvent(nil, &eventHead{tenant: 1, id: e.ID}, e, number4(1)))
	f.Add(appendRow(nil, &rowHead{webhook: 1}, &delivery.Request{EventType: "a", StatusCode: 200, ResponseBody: "ok"}))
	f.Add(record.AppendDelivery(nil, &record.Delivery{Status: record.Pending, RetryAt: 1}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, w, err := decodeWebhook(b, nil); err == nil && w == nil {
			t.Error("no webhook and no error")
		}
		if r, _, err := decodeRow(w.Ref(), w.ID, b); err == nil && r.Status == "" {
			t.Error("a request without a status")
		}
		e, err := decodeEvent(crashTenant, b)
		if err != nil {
			return
		}
		if d, err := record.DecodeDelivery(b); err == nil && d.Of(&e.Event, e.test, w.ID).Attempts < 0 {
			t.Errorf("%+v has less than no attempts", d)
		}
	})
}
