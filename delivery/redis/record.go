package redis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Records are CBOR (RFC 8949). Arrays begin with the version of their layout;
// a later version may add elements at the end.
const recordVersion = 1

var encoder = func() cbor.EncMode {
	mode, err := cbor.EncOptions{Time: cbor.TimeRFC3339NanoUTC}.EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// decoder takes texts as they come: one bad byte in an error message of somebody
// else's must not hide a row.
var decoder = func() cbor.DecMode {
	mode, err := cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

var errBadRecord = errors.New("a record in Redis cannot be read")

func encode(v any) []byte {
	b, err := encoder.Marshal(v)
	if err != nil {
		panic(err) // the types below always encode
	}
	return b
}

func decode(b string, v any) error {
	if err := decoder.Unmarshal([]byte(b), v); err != nil {
		return fmt.Errorf("%w: %w", errBadRecord, err)
	}
	return nil
}

// webhookRecord is a webhook without its tenant and id, which are its key.
type webhookRecord struct {
	URL         string    `cbor:"url"`
	Secret      string    `cbor:"secret,omitempty"`
	Description string    `cbor:"description,omitempty"`
	Enabled     bool      `cbor:"enabled"`
	EventTypes  []string  `cbor:"event_types"`
	CreatedAt   time.Time `cbor:"created_at"`
	UpdatedAt   time.Time `cbor:"updated_at"`
}

func encodeWebhook(w *delivery.Webhook) []byte {
	return encode(webhookRecord{w.URL, w.Secret, w.Description, w.Enabled, w.EventTypes, w.CreatedAt, w.UpdatedAt})
}

func decodeWebhook(tenant, id, b string) (*delivery.Webhook, error) {
	var r webhookRecord
	if err := decode(b, &r); err != nil {
		return nil, err
	}
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	return &delivery.Webhook{
		Tenant: tenant, ID: parsed,
		URL: r.URL, Secret: r.Secret, Description: r.Description,
		Enabled: r.Enabled, EventTypes: r.EventTypes,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
	}, nil
}

// eventRecord is an event without its tenant, id and received time.
type eventRecord struct {
	_       struct{} `cbor:",toarray"`
	Version int
	Type    string
	Seconds int64 // when it occurred
	Nanos   int
	Test    bool
	Targets []byte // the ids of its webhooks, 16 bytes each
	Payload []byte
}

// What stands before an event's record: see keys.go.
const (
	receivedSize  = 13
	callSize      = 16 + 2 + 2
	eventHeadSize = receivedSize + callSize
)

// encodeEvent makes all but the received time, which the script puts in front.
func encodeEvent(e *delivery.AcceptEvent, nonce uuid.UUID, place int) []byte {
	targets := make([]byte, 0, 16*len(e.Targets))
	for i := range e.Targets {
		targets = append(targets, e.Targets[i].Webhook[:]...)
	}
	record := encode(&eventRecord{
		Version: recordVersion, Type: e.Type,
		Seconds: e.OccurredAt.Unix(), Nanos: e.OccurredAt.Nanosecond(), Test: e.Test,
		Targets: targets, Payload: e.Payload,
	})
	b := make([]byte, 0, callSize+len(record))
	b = append(b, nonce[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(place))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Targets)))
	return append(b, record...)
}

// storedEvent is an event as it was read.
type storedEvent struct {
	delivery.Event
	test    bool
	targets []uuid.UUID
}

func decodeEvent(tenant string, id uuid.UUID, b string) (*storedEvent, error) {
	if len(b) < eventHeadSize {
		return nil, errBadRecord
	}
	ms, err := strconv.ParseInt(b[:receivedSize], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadRecord, err)
	}
	var r eventRecord
	if err := decode(b[eventHeadSize:], &r); err != nil {
		return nil, err
	}
	e := &storedEvent{
		Event: delivery.Event{
			Tenant: tenant, ID: id, Type: r.Type, OccurredAt: time.Unix(r.Seconds, int64(r.Nanos)).UTC(),
			ReceivedAt: time.UnixMilli(ms).UTC(), Payload: r.Payload,
		},
		test: r.Test,
	}
	for t := r.Targets; len(t) >= 16; t = t[16:] {
		e.targets = append(e.targets, uuid.UUID(t[:16]))
	}
	return e, nil
}

// requestRecord is a row of the log without what stands before it.
type requestRecord struct {
	_           struct{} `cbor:",toarray"`
	Version     int
	Type        string
	Seconds     int64 // when the event occurred
	Nanos       int
	Trigger     delivery.Trigger
	Attempt     int
	MaxAttempts int
	StatusCode  int
	URL         string
	Error       string
	Duration    int64 // microseconds
	Truncated   bool
}

// What stands before a request's record: see keys.go. The script puts the first
// two in front.
const (
	previousSize    = 16
	nextAttemptSize = 8
	scriptHeadSize  = previousSize + nextAttemptSize
	requestHeadSize = scriptHeadSize + 16 + 16 + 1
)

const (
	statusSuccess = '1'
	statusFailed  = '0'
)

func statusByte(status delivery.RequestStatus) byte {
	if status == delivery.RequestSuccess {
		return statusSuccess
	}
	return statusFailed
}

func encodeRequest(r *delivery.Request) []byte {
	record := encode(&requestRecord{
		Version: recordVersion, Type: r.EventType,
		Seconds: r.OccurredAt.Unix(), Nanos: r.OccurredAt.Nanosecond(), Trigger: r.Trigger,
		Attempt: r.Attempt, MaxAttempts: r.MaxAttempts, StatusCode: r.StatusCode, URL: r.URL,
		Error: r.Error, Duration: r.Duration.Microseconds(), Truncated: r.ResponseTruncated,
	})
	b := make([]byte, 0, requestHeadSize-scriptHeadSize+len(record))
	b = append(b, r.WebhookID[:]...)
	b = append(b, r.EventID[:]...)
	b = append(b, statusByte(r.Status))
	return append(b, record...)
}

func decodeRequest(tenant string, id uuid.UUID, b string) (delivery.Request, error) {
	if len(b) < requestHeadSize {
		return delivery.Request{}, errBadRecord
	}
	var r requestRecord
	if err := decode(b[requestHeadSize:], &r); err != nil {
		return delivery.Request{}, err
	}
	status := delivery.RequestFailed
	if b[requestHeadSize-1] == statusSuccess {
		status = delivery.RequestSuccess
	}
	return delivery.Request{
		Tenant: tenant, ID: id,
		WebhookID:     uuid.UUID([]byte(b[scriptHeadSize : scriptHeadSize+16])),
		EventID:       uuid.UUID([]byte(b[scriptHeadSize+16 : scriptHeadSize+32])),
		EventType:     r.Type,
		OccurredAt:    time.Unix(r.Seconds, int64(r.Nanos)).UTC(),
		Trigger:       r.Trigger,
		Attempt:       r.Attempt,
		MaxAttempts:   r.MaxAttempts,
		Status:        status,
		StatusCode:    r.StatusCode,
		URL:           r.URL,
		Error:         r.Error,
		Duration:      time.Duration(r.Duration) * time.Microsecond,
		NextAttemptAt: timeOf(b[previousSize:scriptHeadSize]),

		ResponseTruncated: r.Truncated,
	}, nil
}

// timeOf reads 8 bytes of milliseconds, 0 for none.
func timeOf(b string) time.Time {
	ms := int64(binary.BigEndian.Uint64([]byte(b)))
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// What a delivery's record holds: see keys.go.
const deliverySize = 1 + 2 + 8 + 16

var deliveryStatuses = map[byte]delivery.DeliveryStatus{
	'p': delivery.DeliveryPending,
	's': delivery.DeliverySuccess,
	'f': delivery.DeliveryFailed,
}

// decodeDelivery reads the state of a delivery of an event; there is no record,
// only "", before its first request.
func decodeDelivery(e *storedEvent, webhook uuid.UUID, b string) (delivery.Delivery, error) {
	d := delivery.Delivery{WebhookID: webhook, Status: delivery.DeliveryPending}
	if b != "" {
		if len(b) < deliverySize {
			return d, errBadRecord
		}
		d.Status = deliveryStatuses[b[0]]
		d.Attempts = int(b[1])<<8 | int(b[2])
		if d.Status == delivery.DeliveryPending {
			d.NextAttemptAt = timeOf(b[3:11])
		}
	}
	if d.Status == delivery.DeliveryPending && d.Attempts == 0 && !e.test {
		d.NextAttemptAt = e.ReceivedAt
	}
	return d, nil
}
