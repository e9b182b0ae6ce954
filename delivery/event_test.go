package delivery

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

func TestEnvelope(t *testing.T) {
	id := uuid.MustParse("0197f3a1-89ab-7cde-8f01-23456789abcd")
	noon := time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name      string
		eventType string
		at        time.Time
		data      string
		want      string
	}{
		{
			"plain", "alert_active", noon, `{"n":1}`,
			`{"event_type":"alert_active","event_id":"0197f3a1-89ab-7cde-8f01-23456789abcd","occurred_at":"2026-07-14T12:00:00Z","data":{"n":1}}`,
		},
		{
			"a time elsewhere, with a fraction", "a", noon.Add(120 * time.Millisecond).In(time.FixedZone("", 2*3600)), `{}`,
			`{"event_type":"a","event_id":"0197f3a1-89ab-7cde-8f01-23456789abcd","occurred_at":"2026-07-14T12:00:00.12Z","data":{}}`,
		},
		{
			"nanoseconds", "a", noon.Add(123456789), `{}`,
			`{"event_type":"a","event_id":"0197f3a1-89ab-7cde-8f01-23456789abcd","occurred_at":"2026-07-14T12:00:00.123456789Z","data":{}}`,
		},
		{
			"a name that must be quoted", `say "hi"\`, noon, `{}`,
			`{"event_type":"say \"hi\"\\","event_id":"0197f3a1-89ab-7cde-8f01-23456789abcd","occurred_at":"2026-07-14T12:00:00Z","data":{}}`,
		},
		{
			"data digit for digit", "a", noon, "{ \"b\": 1.0,\n\"a\": 12345678901234567890, \"a\\u00e9\": 1e2 }",
			`{"event_type":"a","event_id":"0197f3a1-89ab-7cde-8f01-23456789abcd","occurred_at":"2026-07-14T12:00:00Z","data":` +
				"{ \"b\": 1.0,\n\"a\": 12345678901234567890, \"a\\u00e9\": 1e2 }}",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := string(envelope(tc.eventType, id, tc.at, []byte(tc.data))); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestEnvelopeIsJSONThatSaysWhatWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "type")
		id := NewID(moments.Draw(t, "made"))
		at := moments.Draw(t, "at")
		value := rapid.String().Draw(t, "value")
		data, err := json.Marshal(map[string]string{"value": value})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			EventType  string            `json:"event_type"`
			EventID    uuid.UUID         `json:"event_id"`
			OccurredAt time.Time         `json:"occurred_at"`
			Data       map[string]string `json:"data"`
		}
		payload := envelope(name, id, at, data)
		if err := json.Unmarshal(payload, &got); err != nil {
			t.Fatalf("%s: %v", payload, err)
		}
		if got.EventType != name || got.EventID != id || !got.OccurredAt.Equal(at) || got.Data["value"] != value {
			t.Fatalf("%s says something else", payload)
		}
	})
}

// TestQuotedTypes compares the names of event types with what the JSON package makes of
// them.
func TestQuotedTypes(t *testing.T) {
	check := func(t interface{ Errorf(string, ...any) }, name string) {
		want, _ := json.Marshal(name)
		if got := appendQuoted(nil, name); string(got) != string(want) {
			t.Errorf("%q: got %s, want %s", name, got, want)
		}
	}
	for c := range 256 {
		check(t, "a"+string([]byte{byte(c)}))
		check(t, string(rune(c)))
	}
	check(t, "\u2028\u2029")
	rapid.Check(t, func(t *rapid.T) { check(t, rapid.String().Draw(t, "name")) })
}
