package record

import (
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// replay is a map, as a webhook is. Stores have its state beside it.
type replay struct {
	WebhookID []byte                `cbor:"webhook_id,omitempty"`
	EventType string                `cbor:"event_type,omitempty"`
	Status    delivery.ReplayStatus `cbor:"status"`
	Since     time.Time             `cbor:"since"`
	Until     time.Time             `cbor:"until,omitzero"`
	Total     int64                 `cbor:"total,omitempty"`
	Done      int64                 `cbor:"done,omitempty"`
	Succeeded int64                 `cbor:"succeeded,omitempty"`
	Failed    int64                 `cbor:"failed,omitempty"`
	Counted   bool                  `cbor:"counted,omitempty"`
	Place     []byte                `cbor:"place,omitempty"`
	Searched  bool                  `cbor:"searched,omitempty"`
	// Sending has the ids of webhook, event and last request of each.
	Sending []byte `cbor:"sending,omitempty"`
	// Apart has the ids of webhook and request of each.
	Apart []byte `cbor:"apart,omitempty"`
}

// sendingSize is how many bytes a delivery takes in Sending.
const sendingSize = 3 * len(uuid.UUID{})

// apartSize is how many bytes a webhook takes in Apart.
const apartSize = 2 * len(uuid.UUID{})

// EncodeReplay encodes a replay, without its tenant, id, state, and when it finished.
func EncodeReplay(r *delivery.Replay) []byte {
	sending := make([]byte, 0, sendingSize*len(r.Sending))
	for _, d := range r.Sending {
		sending = append(append(append(sending, d.WebhookID[:]...), d.EventID[:]...), d.Last[:]...)
	}
	var apart []byte
	for _, a := range r.Apart {
		apart = append(append(apart, a.WebhookID[:]...), a.Before[:]...)
	}
	f := &r.Filter
	return encode(replay{
		idBytes(f.WebhookID), f.EventType, f.Status, f.Since.UTC(), f.Until.UTC(), r.Total, r.Done, r.Succeeded, r.Failed,
		r.Counted, []byte(r.Place), r.Searched, sending, apart,
	})
}

// DecodeReplay decodes a replay. The caller must fill in what was not encoded. It does not retain b.
func DecodeReplay(b []byte) (d delivery.Replay, err error) {
	var r replay
	if err := decode(b, &r); err != nil {
		return d, err
	}
	d = delivery.Replay{
		Filter: delivery.ReplayFilter{EventType: r.EventType, Status: r.Status, Since: r.Since, Until: r.Until},
		Total:  r.Total, Done: r.Done, Succeeded: r.Succeeded, Failed: r.Failed,
		Counted: r.Counted, Place: string(r.Place), Searched: r.Searched,
	}
	if d.Filter.WebhookID, err = idOf(r.WebhookID); err != nil {
		return d, err
	}
	if len(r.Sending)%sendingSize != 0 || len(r.Apart)%apartSize != 0 {
		return d, ErrUnreadable
	}
	for s := r.Sending; len(s) > 0; s = s[sendingSize:] {
		d.Sending = append(d.Sending, delivery.ReplayedDelivery{
			WebhookID: uuid.UUID(s[:16]), EventID: uuid.UUID(s[16:32]), Last: uuid.UUID(s[32:48]),
		})
	}
	for a := r.Apart; len(a) > 0; a = a[apartSize:] {
		d.Apart = append(d.Apart, delivery.ReplayApart{WebhookID: uuid.UUID(a[:16]), Before: uuid.UUID(a[16:32])})
	}
	return d, nil
}
