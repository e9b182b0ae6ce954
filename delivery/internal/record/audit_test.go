package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestAuditRecord encodes and decodes entries of the audit log.
func TestAuditRecord(t *testing.T) {
	t.Parallel()
	for _, a := range []delivery.AuditEntry{
		{Action: delivery.ActionWebhookTested},
		{
			By: "für alle ☎", Address: "2001:db8::1", Action: delivery.ActionRequestRerun,
			WebhookID: uuid.New(), RequestID: uuid.New(), EventID: uuid.New(), Before: []byte(`{"a":"b"}`), After: []byte("{}"),
		},
	} {
		b := EncodeAudit(&a)
		if got, err := DecodeAudit(b); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("read as %+v, %v, want %+v", got, err, a)
		}
		if b[0] == 0xff { // the store on Redis relies on it
			t.Errorf("the record begins with % x", b[:1])
		}
	}
}

// TestStoredAuditRecord decodes a record as stores have it, and one of a later version.
func TestStoredAuditRecord(t *testing.T) {
	t.Parallel()
	const stored = "66616374696f6e6f776562686f6f6b5f6368616e676564" + // "action": "webhook_changed"
		"6262796d61646d696e5f746f6b656e2031" + // "by": "admin_token 1"
		"676164647265737369312e322e332e343536" + // "address": "1.2.3.456"
		"6a776562686f6f6b5f696450000102030405060708090a0b0c0d0e0f" + // "webhook_id"
		"666265666f7265427b7d" + "656166746572427b7d" // "before", "after": {}
	want := delivery.AuditEntry{
		By: "admin_token 1", Address: "1.2.3.456", Action: delivery.ActionWebhookChanged,
		WebhookID: uuid.MustParse("00010203-0405-0607-0809-0a0b0c0d0e0f"), Before: []byte("{}"), After: []byte("{}"),
	}
	const later = "656c61746572f5" // "later": true
	for _, text := range []string{"a6" + stored, "a7" + stored + later} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeAudit(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read as %+v, %v, want %+v", got, err, want)
		}
	}
	badWebhook := bytes.Replace(EncodeAudit(&want), []byte("webhook_id\x50"), []byte("webhook_id\x4f"), 1)
	badEvent := bytes.Replace(EncodeAudit(&delivery.AuditEntry{EventID: want.WebhookID}), []byte("event_id\x50"), []byte("event_id\x4f"), 1)
	for _, b := range [][]byte{nil, []byte("garbage"), badWebhook, badEvent} {
		if _, err := DecodeAudit(b); !errors.Is(err, ErrUnreadable) {
			t.Errorf("% x: %v", b, err)
		}
	}
}

// TestStoredCancel decodes the entry of a canceled delivery as stores have it, and writes it so.
func TestStoredCancel(t *testing.T) {
	t.Parallel()
	const stored = "a5" + "62627965616c696365" + // "by": "alice"
		"6761646472657373693139322e302e322e37" + // "address": "192.0.2.7"
		"66616374696f6e7164656c69766572795f63616e63656c6564" + // "action": "delivery_canceled"
		"6a776562686f6f6b5f696450000102030405060708090a0b0c0d0e0f" + // "webhook_id"
		"686576656e745f696450101112131415161718191a1b1c1d1e1f" // "event_id"
	want := delivery.AuditEntry{
		By: "alice", Address: "192.0.2.7", Action: delivery.ActionDeliveryCanceled,
		WebhookID: uuid.MustParse("00010203-0405-0607-0809-0a0b0c0d0e0f"), EventID: uuid.MustParse("10111213-1415-1617-1819-1a1b1c1d1e1f"),
	}
	b, err := hex.DecodeString(stored)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeAudit(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read as %+v, %v, want %+v", got, err, want)
	}
	if got := EncodeAudit(&want); !bytes.Equal(got, b) {
		t.Errorf("written as %x", got)
	}
}
