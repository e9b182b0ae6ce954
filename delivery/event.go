package delivery

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

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
	// Data is a JSON object, kept byte for byte. The engine copies it before Emit returns.
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
	// Payload is the envelope: the bytes that every request sends. It is nil if the event was
	// erased.
	Payload []byte
	// Erased says that an admin had all removed that the event and its requests carried.
	Erased bool
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
	b := make([]byte, 0, envelopeOverhead+len(eventType)+len(data))
	b = AppendEnvelopeHead(b, eventType, id, occurredAt)
	b = append(b, data...)
	return append(b, '}')
}

// envelopeOverhead is the length of an envelope without the event's type and data.
const envelopeOverhead = len(`{"event_type":"","event_id":"","occurred_at":"","data":}`) + 36 + len(time.RFC3339Nano)

// AppendEnvelopeHead appends what precedes the data in an envelope. A store may leave this out
// of a payload that begins so, and put it back. It must not change: what is stored would be
// sent with other bytes.
func AppendEnvelopeHead(b []byte, eventType string, id uuid.UUID, occurredAt time.Time) []byte {
	b = append(b, `{"event_type":`...)
	b = appendQuoted(b, eventType)
	b = append(b, `,"event_id":"`...)
	idText, _ := id.MarshalText() // which cannot fail
	b = append(b, idText...)
	b = append(b, `","occurred_at":"`...)
	b = occurredAt.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, `","data":`...)
}

// appendQuoted appends a text as a JSON string. The configuration may allow any name as an
// event type, but few need more than quotation marks.
func appendQuoted(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || strings.IndexByte(`"\<>&`, c) >= 0 {
			quoted, _ := json.Marshal(text) // which cannot fail
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}
