package record

import (
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// audit is a map, as a webhook is: a version ignores what a later one has added.
type audit struct {
	By        string          `cbor:"by,omitempty"`
	Address   string          `cbor:"address,omitempty"`
	Action    delivery.Action `cbor:"action"`
	WebhookID []byte          `cbor:"webhook_id,omitempty"`
	RequestID []byte          `cbor:"request_id,omitempty"`
	Before    []byte          `cbor:"before,omitempty"`
	After     []byte          `cbor:"after,omitempty"`
	EventID   []byte          `cbor:"event_id,omitempty"`
}

// EncodeAudit encodes an entry of the audit log, without its tenant and id.
func EncodeAudit(a *delivery.AuditEntry) []byte {
	return encode(audit{a.By, a.Address, a.Action, idBytes(a.WebhookID), idBytes(a.RequestID), a.Before, a.After, idBytes(a.EventID)})
}

// DecodeAudit decodes an entry of the audit log. The caller must fill in its tenant and id.
// It does not retain b.
func DecodeAudit(b []byte) (a delivery.AuditEntry, err error) {
	var r audit
	if err := decode(b, &r); err != nil {
		return a, err
	}
	a = delivery.AuditEntry{By: r.By, Address: r.Address, Action: r.Action, Before: r.Before, After: r.After}
	if a.WebhookID, err = idOf(r.WebhookID); err != nil {
		return a, err
	}
	if a.RequestID, err = idOf(r.RequestID); err != nil {
		return a, err
	}
	a.EventID, err = idOf(r.EventID)
	return a, err
}

// idBytes is nil for no id.
func idBytes(id uuid.UUID) []byte {
	if id == uuid.Nil {
		return nil
	}
	return id[:]
}

func idOf(b []byte) (id uuid.UUID, err error) {
	if len(b) != 0 && len(b) != len(id) {
		return id, ErrUnreadable
	}
	copy(id[:], b)
	return id, nil
}
