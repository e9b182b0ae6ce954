package delivery

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// NewEvent is an event as the emitter sent it, already validated.
type NewEvent struct {
	// ID is the emitter's, or uuid.Nil to have the engine make one.
	ID uuid.UUID
	// Type is one of the configured event types.
	Type string
	// OccurredAt is the emitter's, or zero for now.
	OccurredAt time.Time
	// Data is a JSON object, kept byte for byte.
	Data []byte
}

// Receipt tells the emitter what became of one event.
type Receipt struct {
	EventID    uuid.UUID
	Deliveries int  // how many webhooks the event goes to
	Duplicate  bool // the id was known already: nothing is sent
}

// Event is a stored event.
type Event struct {
	Tenant     string
	ID         uuid.UUID
	Type       string
	OccurredAt time.Time
	// ReceivedAt is when the store accepted it, by the store's clock, to the
	// millisecond.
	ReceivedAt time.Time
	// Payload is the envelope: the bytes that every request sends.
	Payload []byte
}

// EventGrace is how much longer than the retention stores keep an event, so that no
// row of the log outlives the payload that it refers to.
const EventGrace = time.Hour

// reuseMargin is longer than clocks may differ, and shorter than EventGrace.
const reuseMargin = time.Minute

// SentBy says whether the request sent this event, rather than an earlier one with the
// same id: once an event is no longer kept, its id may be used again.
func (e *Event) SentBy(r *Request) bool {
	return !e.ReceivedAt.After(r.StartedAt().Add(reuseMargin))
}

// DeliveryStatus says where a delivery stands.
type DeliveryStatus string

// A delivery is pending until a request succeeds or its attempts are used up.
const (
	DeliveryPending DeliveryStatus = "pending"
	DeliverySuccess DeliveryStatus = "success"
	DeliveryFailed  DeliveryStatus = "failed"
)

// Delivery is one event on its way to one webhook.
type Delivery struct {
	WebhookID uuid.UUID
	Status    DeliveryStatus
	Attempts  int // attempts that ended; re-runs and tests do not count
	// NextAttemptAt is when the next attempt is due, zero unless pending.
	NextAttemptAt time.Time
}

// envelope builds the bytes that endpoints receive: these four members, in this
// order. It is made once per event and never encoded again, so that every
// attempt and every re-run sends, and signs, the same bytes.
func envelope(eventType string, id uuid.UUID, occurredAt time.Time, data []byte) []byte {
	// The configuration may allow any name as an event type, so it is quoted;
	// marshalling a string cannot fail.
	name, _ := json.Marshal(eventType)
	b := make([]byte, 0, len(`{"event_type":,"event_id":"","occurred_at":"","data":}`)+
		len(name)+36+len(time.RFC3339Nano)+len(data))
	b = append(b, `{"event_type":`...)
	b = append(b, name...)
	b = append(b, `,"event_id":"`...)
	b = append(b, id.String()...)
	b = append(b, `","occurred_at":"`...)
	b = occurredAt.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","data":`...)
	b = append(b, data...)
	return append(b, '}')
}
