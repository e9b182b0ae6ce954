package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// envelopeOf is a payload as the engine makes it.
func envelopeOf(e *delivery.AcceptEvent, data string) []byte {
	return append(delivery.AppendEnvelopeHead(nil, e.Type, e.ID, e.OccurredAt), data+"}"...)
}

var someEvent = delivery.AcceptEvent{
	ID: uuid.MustParse("0199f1a2-7c3d-7e4f-8a5b-6c7d8e9fa0b1"), Type: "alert_active",
	OccurredAt: time.Date(2026, 3, 1, 9, 30, 0, 123_000_000, time.UTC),
}

// The bytes of an event with an envelope: as this version writes them, and as earlier ones did.
const (
	headlessEvent = "1772357400456" + "0123456789abcdef" + "\x00\x02\x00\x00" +
		"\x87\x02\x6calert_active\x1a\x69\xa4\x07\x18\x1a\x07\x54\xd4\xc0\xf4\x40\x49{\"n\": 1}}"
	wholeEvent = "1772357400456" + "0123456789abcdef" + "\x00\x02\x00\x00" +
		"\x87\x01\x6calert_active\x1a\x69\xa4\x07\x18\x1a\x07\x54\xd4\xc0\xf4\x40\x58\x88" +
		`{"event_type":"alert_active","event_id":"0199f1a2-7c3d-7e4f-8a5b-6c7d8e9fa0b1","occurred_at":"2026-03-01T09:30:00.123Z","data":{"n": 1}}`
)

// TestHeadlessBytes fixes the bytes of an event, and reads those that earlier versions wrote.
func TestHeadlessBytes(t *testing.T) {
	t.Parallel()
	e := someEvent
	e.Payload = envelopeOf(&e, `{"n": 1}`)
	got := "1772357400456" + string(encodeEvent(&e, uuid.UUID([]byte("0123456789abcdef")), 2))
	if got != headlessEvent {
		t.Errorf("it is\n%q, want\n%q", got, headlessEvent)
	}
	for name, stored := range map[string]string{"this version": headlessEvent, "an earlier one": wholeEvent} {
		read, err := decodeEvent(testTenant, e.ID, stored)
		if err != nil || string(read.Payload) != string(e.Payload) || !read.OccurredAt.Equal(e.OccurredAt) {
			t.Errorf("%s: read as %+v, %v", name, read, err)
		}
	}
}

// TestPayloads stores payloads of all kinds: what comes out has the same bytes.
func TestPayloads(t *testing.T) {
	t.Parallel()
	other, local, exact := someEvent, someEvent, someEvent
	other.ID = uuid.New()
	local.OccurredAt = local.OccurredAt.In(time.FixedZone("", 3600))
	exact.OccurredAt = exact.OccurredAt.Add(456_789)
	for name, test := range map[string]struct {
		event    delivery.AcceptEvent
		name     string
		payload  []byte
		headless bool
	}{
		"an envelope":                {someEvent, "", envelopeOf(&someEvent, `{"a":1.0}`), true},
		"in another zone":            {local, "", envelopeOf(&local, `{}`), true},
		"with nanoseconds":           {exact, "", envelopeOf(&exact, `{}`), true},
		"a name in quotes":           {someEvent, `say "hi" <é>`, nil, true},
		"a head alone":               {someEvent, "", delivery.AppendEnvelopeHead(nil, someEvent.Type, someEvent.ID, someEvent.OccurredAt), true},
		"another event's":            {someEvent, "", envelopeOf(&other, `{}`), false},
		"other members":              {someEvent, "", []byte(`{"event_type":"alert_active","data":{}}`), false},
		"in capitals":                {someEvent, "", []byte(strings.ToUpper(string(envelopeOf(&someEvent, `{}`)))), false},
		"no JSON":                    {someEvent, "", []byte{0, 1, 2}, false},
		"none":                       {someEvent, "", nil, false},
		"of another time's fraction": {exact, "", envelopeOf(&someEvent, `{}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			e := test.event
			e.Payload = test.payload
			if test.name != "" {
				e.Type = test.name
				e.Payload = envelopeOf(&e, `{"n":1}`)
			}
			stored := encodeEvent(&e, uuid.New(), 0)
			if headless := len(stored) < len(e.Payload); headless != test.headless {
				t.Errorf("%d bytes of %d are stored", len(stored), len(e.Payload))
			}
			read, err := decodeEvent(testTenant, e.ID, "1772357400456"+string(stored))
			if err != nil || string(read.Payload) != string(e.Payload) {
				t.Errorf("read as %q, %v, want %q", read.Payload, err, e.Payload)
			}
		})
	}
}

// TestHeadlessEvents has events with their envelope, of this version and of an earlier one, go
// all the ways that events go.
func TestHeadlessEvents(t *testing.T) {
	t.Parallel()
	s, to := open(t, options()), open(t, options())
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, 2, 0, false)
	want := make(map[uuid.UUID]string)
	for i := range call.Events {
		e := &call.Events[i]
		e.Payload = envelopeOf(e, `{"n": 1}`)
		want[e.ID] = string(e.Payload)
	}
	mustAccept(t, s, call)
	s.earlierPayload(t, &call.Events[0])
	mustCopy(t, s, to)
	for _, store := range []*Store{s, to} {
		for id, payload := range want {
			if e, _, err := store.Event(t.Context(), testTenant, id); err != nil || string(e.Payload) != payload {
				t.Errorf("the event is %+v, %v", e, err)
			}
		}
		jobs := claim(t, store)
		if len(jobs) != len(want) {
			t.Errorf("%d jobs, want %d", len(jobs), len(want))
		}
		for _, job := range jobs {
			if string(job.Event.Payload) != want[job.Event.ID] {
				t.Errorf("claimed is %q", job.Event.Payload)
			}
		}
	}
}

// earlierPayload stores an event again as an earlier version did.
func (s *Store) earlierPayload(t *testing.T, e *delivery.AcceptEvent) {
	t.Helper()
	at, _ := idSpan(e.ID)
	key, field := eventsKey(s.keys.base(0), at), eventField(testTenant, e.ID)
	value, err := s.client().HGet(t.Context(), key, field).Result()
	if err != nil {
		t.Fatal(err)
	}
	value = value[:expirySize+eventHeadSize] + string(record.AppendEvent(nil, &record.Event{
		Type: e.Type, OccurredAt: e.OccurredAt, Targets: e.Targets[0].Webhook[:], Payload: e.Payload,
	}))
	if err := s.client().HSet(t.Context(), key, field, value).Err(); err != nil {
		t.Fatal(err)
	}
}
