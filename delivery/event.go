package delivery

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// NewEvent is an event as its emitter gives it, already checked.
type NewEvent struct {
	// ID is the emitter's own, or uuid.Nil to have one made.
	ID uuid.UUID
	// Type is one of the configured event types.
	Type string
	// OccurredAt is the emitter's, or zero for now.
	OccurredAt time.Time
	// Data is a JSON object, kept byte for byte.
	Data []byte
}

// Receipt is what the emitter gets back for one event.
type Receipt struct {
	EventID    uuid.UUID
	Deliveries int  // how many webhooks the event goes to
	Duplicate  bool // the id was known: nothing new is sent
}

// Event is a stored event.
type Event struct {
	Tenant     string
	ID         uuid.UUID
	Type       string
	OccurredAt time.Time
	// ReceivedAt is when the store took it, by the store's clock, to the
	// millisecond.
	ReceivedAt time.Time
	// Payload is the envelope: the bytes that every request sends.
	Payload []byte
}

// EventGrace is how much longer than the retention stores keep an event, so that no
// row of the log outlives what its request sent.
const EventGrace = time.Hour

// reuseMargin is more than clocks err, and less than EventGrace.
const reuseMargin = time.Minute

// SentBy says whether the request sent this event: once an event is no longer kept,
// its id may be given to another one.
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
	// An event type may be any name when the configuration says so, hence the
	// quoting; strings always marshal.
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
