package embedded

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Fields that are read without decoding the record precede it, at fixed offsets.

// eventHead precedes the record of an event: received (8), expires (8), nonce of the call (16),
// place in the call (2), number of deliveries (2), number of the tenant (4), id
// (16).
const eventHeadSize = 8 + 8 + 16 + 2 + 2 + 4 + 16

type eventHead struct {
	received, expires int64
	nonce             uuid.UUID
	place, deliveries uint16
	tenant            uint32
	id                uuid.UUID
}

// appendEvent encodes an event; targets are the numbers of its webhooks.
func appendEvent(b []byte, h *eventHead, e *delivery.AcceptEvent, targets []byte) []byte {
	return record.AppendEvent(appendEventHead(b, h), &record.Event{
		Type: e.Type, OccurredAt: e.OccurredAt, Test: e.Test, Targets: targets, Payload: e.Payload,
	})
}

// appendErased encodes an event that was erased.
func appendErased(b []byte, h *eventHead, e *delivery.Event, test bool, targets []byte) []byte {
	return record.AppendEvent(appendEventHead(b, h), &record.Event{
		Type: e.Type, OccurredAt: e.OccurredAt, Test: test, Targets: targets, Erased: true,
	})
}

func appendEventHead(b []byte, h *eventHead) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(h.received))
	b = binary.BigEndian.AppendUint64(b, uint64(h.expires))
	b = append(b, h.nonce[:]...)
	b = binary.BigEndian.AppendUint16(b, h.place)
	b = binary.BigEndian.AppendUint16(b, h.deliveries)
	b = binary.BigEndian.AppendUint32(b, h.tenant)
	return append(b, h.id[:]...)
}

func decodeEventHead(b []byte) (h eventHead, err error) {
	if len(b) < eventHeadSize {
		return h, record.ErrUnreadable
	}
	h.received = int64(binary.BigEndian.Uint64(b))
	h.expires = int64(binary.BigEndian.Uint64(b[8:]))
	h.nonce = uuid.UUID(b[16:32])
	h.place = binary.BigEndian.Uint16(b[32:])
	h.deliveries = binary.BigEndian.Uint16(b[34:])
	h.tenant = binary.BigEndian.Uint32(b[36:])
	h.id = uuid.UUID(b[40:56])
	return h, nil
}

// storedEvent is an event with all that is stored of it.
type storedEvent struct {
	delivery.Event
	test    bool
	targets []uint32 // numbers of webhooks
}

func decodeEvent(tenant string, b []byte) (*storedEvent, error) {
	h, err := decodeEventHead(b)
	if err != nil {
		return nil, err
	}
	r, err := record.DecodeEvent(b[eventHeadSize:])
	if err != nil {
		return nil, err
	}
	e := &storedEvent{
		Event: delivery.Event{
			Tenant: tenant, ID: h.id, Type: r.Type, OccurredAt: r.OccurredAt,
			ReceivedAt: record.Time(h.received), Payload: r.Payload, Erased: r.Erased,
		},
		test: r.Test,
	}
	if e.Erased {
		e.Payload = nil
	}
	for t := r.Targets; len(t) >= 4; t = t[4:] {
		e.targets = append(e.targets, binary.BigEndian.Uint32(t))
	}
	return e, nil
}

// rowHead precedes the record of a request: the previous request of the same delivery
// (16), time of the next attempt (8), numbers of the tenant (4), the webhook (4) and the
// event type (4), event id (16), 1 for success or 0 (1), length of the record (4). The
// response body follows the record.
const rowHeadSize = 16 + 8 + 4 + 4 + 4 + 16 + 1 + 4

type rowHead struct {
	previous                   uuid.UUID
	nextAttempt                int64
	tenant, webhook, eventType uint32
	event                      uuid.UUID
	success                    bool
}

func appendRow(b []byte, h *rowHead, r *delivery.Request) []byte {
	b = append(b, h.previous[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.nextAttempt))
	b = binary.BigEndian.AppendUint32(b, h.tenant)
	b = binary.BigEndian.AppendUint32(b, h.webhook)
	b = binary.BigEndian.AppendUint32(b, h.eventType)
	b = append(b, h.event[:]...)
	b = append(b, boolByte(h.success))
	b = append(b, 0, 0, 0, 0) // the length
	details := len(b)
	b = record.AppendRequest(b, r)
	binary.BigEndian.PutUint32(b[details-4:], uint32(len(b)-details))
	return append(b, r.ResponseBody...)
}

func decodeRowHead(b []byte) (h rowHead, err error) {
	if len(b) < rowHeadSize {
		return h, record.ErrUnreadable
	}
	h.previous = uuid.UUID(b[:16])
	h.nextAttempt = int64(binary.BigEndian.Uint64(b[16:]))
	h.tenant = binary.BigEndian.Uint32(b[24:])
	h.webhook = binary.BigEndian.Uint32(b[28:])
	h.eventType = binary.BigEndian.Uint32(b[32:])
	h.event = uuid.UUID(b[36:52])
	h.success = b[52] == 1
	return h, nil
}

// decodeRow reads a row, and returns its response body separately.
func decodeRow(ref delivery.WebhookRef, id uuid.UUID, b []byte) (r delivery.Request, body []byte, err error) {
	h, err := decodeRowHead(b)
	if err != nil {
		return r, nil, err
	}
	size := int(binary.BigEndian.Uint32(b[53:]))
	if size > len(b)-rowHeadSize {
		return r, nil, record.ErrUnreadable
	}
	r, err = record.DecodeRequest(b[rowHeadSize : rowHeadSize+size])
	if err != nil {
		return r, nil, err
	}
	r.Tenant, r.ID, r.WebhookID, r.EventID = ref.Tenant, id, ref.ID, h.event
	r.Status, r.NextAttemptAt = record.Status(h.success), record.Time(h.nextAttempt)
	return r, b[rowHeadSize+size:], nil
}

// A tenant's value is its number (4) and the version of its webhooks (8).
func encodeTenant(t *tenant) []byte {
	return binary.BigEndian.AppendUint64(number4(t.number), uint64(t.version))
}

// A webhook's value is the number of its tenant (4), its id (16), the tenant's name with its
// length (uvarint) in front, from which a damaged record of the tenant is restored, and the
// webhook's record.
func encodeWebhook(t *tenant, w *delivery.Webhook, keys *encryption.Keyring) []byte {
	return appendWebhook(append(number4(t.number), w.ID[:]...), t.name, record.EncodeWebhook(w, keys))
}

func appendWebhook(b []byte, tenant string, record []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(tenant)))
	return append(append(b, tenant...), record...)
}

// decodeWebhook decodes a webhook with the name of its tenant. If the key of its secrets is
// missing, it returns the webhook without them beside that error.
func decodeWebhook(b []byte, keys *encryption.Keyring) (tenantNumber uint32, w *delivery.Webhook, err error) {
	if len(b) < 4+16 {
		return 0, nil, record.ErrUnreadable
	}
	name, rest, err := cut(b[4+16:])
	if err != nil {
		return 0, nil, err
	}
	w, err = record.DecodeWebhook(rest, delivery.WebhookRef{Tenant: string(name), ID: uuid.UUID(b[4:20])}, keys)
	return binary.BigEndian.Uint32(b), w, err
}

// isEventHead decodes the head of an event, and reports whether it can be read.
func isEventHead(b []byte) (eventHead, bool) {
	h, err := decodeEventHead(b)
	return h, err == nil
}

// isRowHead decodes the head of a row, and reports whether it can be read.
func isRowHead(b []byte) (rowHead, bool) {
	h, err := decodeRowHead(b)
	return h, err == nil
}

// appendLogKeys appends the keys of a row in the log to b: its tenant's and its webhook's.
func (h *rowHead) appendLogKeys(b []byte, id uuid.UUID) []byte {
	b = appendLogKey(b, tenantScope(h.tenant), h.eventType, h.success, id)
	return appendLogKey(b, webhookScope(h.webhook), h.eventType, h.success, id)
}
