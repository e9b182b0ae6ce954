package redis

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// decodeWebhook decodes a webhook. If the key of its secrets is missing, it returns the webhook
// without them beside that error.
func decodeWebhook(tenant, id, b string, keys *encryption.Keyring) (*delivery.Webhook, error) {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", record.ErrUnreadable, err)
	}
	if parsed.String() != id {
		return nil, record.ErrUnreadable // an id is written in one way alone
	}
	buffer, _ := recordBuffers.Get().(*bytes.Buffer)
	defer recordBuffers.Put(buffer)
	buffer.Reset()
	buffer.WriteString(b)
	return record.DecodeWebhook(buffer.Bytes(), delivery.WebhookRef{Tenant: tenant, ID: parsed}, keys)
}

// recordBuffers have records while they are decoded: a tenant may have 60 MB of webhooks, of which
// one more copy each time would keep the garbage collector busy.
var recordBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// What precedes an event's record: see keys.go.
const (
	receivedSize  = 13
	callSize      = 16 + 2 + 2
	eventHeadSize = receivedSize + callSize
)

// encodeEvent encodes an event without the received time, which the script prepends. What the
// payload repeats of the record is left out: that is a fifth of a usual event.
func encodeEvent(e *delivery.AcceptEvent, nonce uuid.UUID, place int) []byte {
	targets := make([]byte, 0, 16*len(e.Targets))
	for i := range e.Targets {
		targets = append(targets, e.Targets[i].Webhook[:]...)
	}
	var buffer [256]byte
	data, headless := bytes.CutPrefix(e.Payload, delivery.AppendEnvelopeHead(buffer[:0], e.Type, e.ID, e.OccurredAt))
	b := make([]byte, 0, callSize+record.Overhead+len(e.Type)+len(targets)+len(data))
	b = append(b, nonce[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(place))
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.Targets)))
	return record.AppendEvent(b, &record.Event{
		Type: e.Type, OccurredAt: e.OccurredAt, Test: e.Test, Targets: targets, Payload: data, Headless: headless,
	})
}

// encodeErased encodes the record of an event that was erased.
func encodeErased(e *delivery.Event, test bool, targets []uuid.UUID) []byte {
	var ids []byte
	for i := range targets {
		ids = append(ids, targets[i][:]...)
	}
	return record.AppendEvent(nil, &record.Event{Type: e.Type, OccurredAt: e.OccurredAt, Test: test, Targets: ids, Erased: true})
}

// storedEvent is an event with all that is stored of it.
type storedEvent struct {
	delivery.Event
	test    bool
	targets []uuid.UUID
}

// expirySize is the size of what precedes an event in a hash: when it expires.
const expirySize = 6

// cutExpiry divides the value of an event in a hash.
func cutExpiry(value string) (expires time.Time, event string) {
	if len(value) < expirySize {
		return time.Time{}, ""
	}
	ms := binary.BigEndian.Uint64([]byte("\x00\x00" + value[:expirySize]))
	return time.UnixMilli(int64(ms)).UTC(), value[expirySize:]
}

func decodeEvent(tenant string, id uuid.UUID, b string) (*storedEvent, error) {
	if len(b) < eventHeadSize {
		return nil, record.ErrUnreadable
	}
	ms, err := strconv.ParseInt(b[:receivedSize], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", record.ErrUnreadable, err)
	}
	r, err := record.DecodeEvent([]byte(b[eventHeadSize:]))
	if err != nil {
		return nil, err
	}
	payload := r.Payload
	if r.Headless {
		payload = append(delivery.AppendEnvelopeHead(nil, r.Type, id, r.OccurredAt), payload...)
	}
	e := &storedEvent{
		Event: delivery.Event{
			Tenant: tenant, ID: id, Type: r.Type, OccurredAt: r.OccurredAt,
			ReceivedAt: time.UnixMilli(ms).UTC(), Payload: payload, Erased: r.Erased,
		},
		test: r.Test,
	}
	if e.Erased {
		e.Payload = nil
	}
	for t := r.Targets; len(t) >= 16; t = t[16:] {
		e.targets = append(e.targets, uuid.UUID(t[:16]))
	}
	return e, nil
}

// What precedes a request's record: see keys.go. The script prepends the first two.
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

func statusOf(b byte) delivery.RequestStatus { return record.Status(b == statusSuccess) }

// encodeRequest encodes a request without what the script prepends.
func encodeRequest(r *delivery.Request) []byte {
	return appendRequest(make([]byte, 0, requestSize(r)-scriptHeadSize), r)
}

// requestSize is the size of a row, or a little more.
func requestSize(r *delivery.Request) int {
	return requestHeadSize + record.Overhead +
		len(r.EventType) + len(r.URL) + len(r.Error) + len(r.Headers.UserAgent) + len(r.Headers.SignatureHeader)
}

func appendRequest(b []byte, r *delivery.Request) []byte {
	b = append(b, r.WebhookID[:]...)
	b = append(b, r.EventID[:]...)
	b = append(b, statusByte(r.Status))
	return record.AppendRequest(b, r)
}

func decodeRequest(tenant string, id uuid.UUID, b string) (delivery.Request, error) {
	if len(b) < requestHeadSize {
		return delivery.Request{}, record.ErrUnreadable
	}
	r, err := record.DecodeRequest([]byte(b[requestHeadSize:]))
	if err != nil {
		return delivery.Request{}, err
	}
	r.Tenant, r.ID = tenant, id
	r.WebhookID = uuid.UUID([]byte(b[scriptHeadSize : scriptHeadSize+16]))
	r.EventID = uuid.UUID([]byte(b[scriptHeadSize+16 : scriptHeadSize+32]))
	r.Status = statusOf(b[requestHeadSize-1])
	r.NextAttemptAt = timeOf(b[previousSize:scriptHeadSize])
	return r, nil
}

// timeOf decodes 8 bytes of milliseconds.
func timeOf(b string) time.Time { return record.Time(int64(binary.BigEndian.Uint64([]byte(b)))) }
