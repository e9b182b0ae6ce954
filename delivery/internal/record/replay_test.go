package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestReplayRecord encodes and decodes replays.
func TestReplayRecord(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 13, 18, 30, 0, 1, time.UTC)
	for _, r := range []delivery.Replay{
		{Filter: delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: at}},
		{
			Filter: delivery.ReplayFilter{WebhookID: uuid.New(), EventType: "a\xff", Status: delivery.ReplayAny, Since: at, Until: at.Add(time.Hour)},
			Total:  1 << 40, Done: 3, Succeeded: 2, Failed: 1, Counted: true, Place: "\x00\xff", Searched: true,
			Sending: []delivery.ReplayedDelivery{{WebhookID: uuid.New(), EventID: uuid.New(), Last: uuid.New()}, {EventID: uuid.New()}},
			Apart:   []delivery.ReplayApart{{WebhookID: uuid.New(), Before: uuid.New()}, {WebhookID: uuid.New()}},
		},
	} {
		if got, err := DecodeReplay(EncodeReplay(&r)); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("read as %+v, %v, want %+v", got, err, r)
		}
	}
}

// TestStoredReplayRecord decodes a record as stores have it, and one of a later version.
func TestStoredReplayRecord(t *testing.T) {
	t.Parallel()
	const stored = "66737461747573666661696c6564" + // "status": "failed"
		"6573696e636574323032362d30332d31335431383a33303a30305a" + // "since": "2026-03-13T18:30:00Z"
		"65746f74616c02" + "67636f756e746564f5" // "total": 2, "counted": true
	want := delivery.Replay{
		Filter: delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: time.Date(2026, 3, 13, 18, 30, 0, 0, time.UTC)},
		Total:  2, Counted: true,
	}
	const later = "656c61746572f5" // "later": true
	for _, text := range []string{"a4" + stored, "a5" + stored + later} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeReplay(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read as %+v, %v, want %+v", got, err, want)
		}
	}
	want.Filter.WebhookID = uuid.New()
	bad := bytes.Replace(EncodeReplay(&want), []byte("webhook_id\x50"), []byte("webhook_id\x4f"), 1)
	short := bytes.Replace(EncodeReplay(&delivery.Replay{Sending: make([]delivery.ReplayedDelivery, 1)}), []byte("sending\x58\x30"), []byte("sending\x58\x2f"), 1)
	apart := bytes.Replace(EncodeReplay(&delivery.Replay{Apart: make([]delivery.ReplayApart, 1)}), []byte("apart\x58\x20"), []byte("apart\x58\x1f"), 1)
	for _, b := range [][]byte{nil, []byte("garbage"), bad, short[:len(short)-1], apart[:len(apart)-1]} {
		if _, err := DecodeReplay(b); !errors.Is(err, ErrUnreadable) {
			t.Errorf("% x: %v", b, err)
		}
	}
}
