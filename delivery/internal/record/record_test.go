package record

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// times are before and after the epoch, and take one to eight bytes.
var times = []time.Time{
	time.Unix(0, 0).UTC(), time.Unix(23, 24).UTC(), time.Unix(255, 256).UTC(), time.Unix(-1, 1).UTC(),
	time.Unix(1<<16, 999_999_999).UTC(), time.Unix(math.MaxUint32+1, 1).UTC(), time.Unix(-1<<33, 0).UTC(),
}

// TestEventRecord checks that events are encoded as the encoder would, and decodes them.
func TestEventRecord(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 23, 24, 255, 256, 65535, 65536} {
		for _, at := range times {
			e := Event{
				Type: strings.Repeat("t", size), OccurredAt: at, Test: size%2 == 0,
				Targets: make([]byte, size), Payload: bytes.Repeat([]byte{'p'}, size),
			}
			got := AppendEvent(nil, &e)
			want := encode(&event{
				Version: version, Type: e.Type, Seconds: at.Unix(), Nanos: at.Nanosecond(),
				Test: e.Test, Targets: e.Targets, Payload: e.Payload,
			})
			if !bytes.Equal(got, want) {
				t.Fatalf("size %d at %v: % x, want % x", size, at, got[:min(80, len(got))], want[:min(80, len(want))])
			}
			headless := e
			headless.Headless = true
			for _, e := range []Event{e, headless} {
				if again, err := DecodeEvent(AppendEvent(nil, &e)); err != nil || !reflect.DeepEqual(*again, e) {
					t.Fatalf("size %d at %v is read as another event: %v", size, at, err)
				}
			}
		}
	}
}

// TestRequestRecord does the same with rows of the log.
func TestRequestRecord(t *testing.T) {
	t.Parallel()
	for i, at := range times {
		version := version
		r := delivery.Request{
			EventType: "alert_active", OccurredAt: at, Trigger: delivery.TriggerRetry,
			Attempt: i, MaxAttempts: 30 * i, StatusCode: 200 * i, URL: "https://example.com/" + strings.Repeat("u", 100*i),
			Error: "no: \xff", Duration: time.Duration(i*i*i) * time.Second, ResponseTruncated: i%2 == 0,
			Headers: delivery.RequestHeaders{UserAgent: "agent", SignatureHeader: strings.Repeat("s", i), StandardWebhooks: i%2 == 1},
		}
		if r.Transformed = i%3 == 2; r.Transformed {
			version++
		}
		if r.Headers.Previous = i%4 > 1; r.Headers.Previous {
			version += 2
		}
		got := AppendRequest(nil, &r)
		want := encode(&request{
			Version: version, Type: r.EventType, Seconds: at.Unix(), Nanos: at.Nanosecond(), Trigger: r.Trigger,
			Attempt: r.Attempt, MaxAttempts: r.MaxAttempts, StatusCode: r.StatusCode, URL: r.URL,
			Error: r.Error, Duration: r.Duration.Microseconds(), Truncated: r.ResponseTruncated,
			UserAgent: r.Headers.UserAgent, SignatureHeader: r.Headers.SignatureHeader, Standard: r.Headers.StandardWebhooks,
		})
		if !bytes.Equal(got, want) {
			t.Fatalf("% x, want % x", got, want)
		}
		if again, err := DecodeRequest(got); err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("read as %+v, %v, want %+v", again, err, r)
		}
	}
}

// TestUsualHead checks that the headers of most requests take little room.
func TestUsualHead(t *testing.T) {
	t.Parallel()
	settings := delivery.DefaultSettings()
	r := delivery.Request{OccurredAt: times[1], Headers: delivery.RequestHeaders{UserAgent: settings.UserAgent, SignatureHeader: settings.SignatureHeader}}
	b := AppendRequest(nil, &r)
	if got, err := DecodeRequest(b); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("read as %+v, %v, want %+v", got, err, r)
	}
	if more := len(b) - len(AppendRequest(nil, &delivery.Request{OccurredAt: times[1]})); more != 2 {
		t.Errorf("the usual head takes %d bytes more than none", more)
	}
}

// TestOldRequestRecord decodes a row from before headers were stored.
func TestOldRequestRecord(t *testing.T) {
	t.Parallel()
	r := delivery.Request{
		EventType: "alert_active", OccurredAt: times[1], Trigger: delivery.TriggerEvent, Attempt: 1, MaxAttempts: 3,
		StatusCode: 200, URL: "https://example.com/", Duration: time.Second, ResponseTruncated: true,
	}
	whole := AppendRequest(nil, &r)
	old := bytes.TrimSuffix(whole, []byte{0x60, 0x60, 0xf4}) // "", "", false
	old[0] = 0x8c                                            // an array of 12
	before := bytes.Clone(old)
	if got, err := DecodeRequest(old); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("read as %+v, %v, want %+v", got, err, r)
	}
	if !bytes.Equal(old, before) {
		t.Error("reading changed it")
	}
}

// TestStoredRequestRecord decodes rows as stores have them: as sent, with a transform, with the secret
// before, and with both.
func TestStoredRequestRecord(t *testing.T) {
	t.Parallel()
	const stored = "6c616c6572745f616374697665" + "1a40000000" + "1a0754d4c0" + // type, time
		"657265747279" + "02" + "03" + "1901f4" + // "retry", 2 of 3, 500
		"7468747470733a2f2f6578616d706c652e636f6d2f" + "626e6f" + "1a000f4240" + "f4" + // URL, "no", 1 s, whole
		"6101" + "6101" + "f5" // usual headers, and those of Standard Webhooks
	want := delivery.Request{
		EventType: "alert_active", OccurredAt: time.Unix(1<<30, 123_000_000).UTC(), Trigger: delivery.TriggerRetry,
		Attempt: 2, MaxAttempts: 3, StatusCode: 500, URL: "https://example.com/", Error: "no", Duration: time.Second,
		Headers: delivery.RequestHeaders{UserAgent: "Caddy-Webhooks", SignatureHeader: "X-Level-Signature", StandardWebhooks: true},
	}
	for version, text := range []string{1: "8f01", "8f02", "8f03", "8f04"} {
		if version == 0 {
			continue
		}
		want.Transformed, want.Headers.Previous = version == 2 || version == 4, version > 2
		b, err := hex.DecodeString(text + stored)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeRequest(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read as %+v, %v, want %+v", got, err, want)
		}
		if got := AppendRequest(nil, &want); !bytes.Equal(got, b) {
			t.Errorf("written as %x", got)
		}
	}
}

// TestWebhookRecord encodes and decodes webhooks, and decodes one of an earlier version.
func TestWebhookRecord(t *testing.T) {
	t.Parallel()
	at := time.Unix(1<<30, 123_000_000).UTC()
	w := delivery.Webhook{
		URL: "https://example.com", Secret: "s", Description: "d", EventTypes: []string{"*"},
		CreatedAt: at, UpdatedAt: at.Add(time.Hour), DisabledAt: at.Add(time.Minute),
		Headers: map[string]string{"X-A": "a", "X-B": ""}, Metadata: map[string]string{"a": "ü"},
		Timeout: 1500 * time.Millisecond, ClientCertificate: &delivery.ClientCertificate{Certificate: "c", PrivateKey: "k"},
		Authorization: &delivery.Authorization{
			Type: delivery.OAuth2Authorization, Credential: "c", Username: "u", Name: "n", TokenURL: "https://a.example", ClientID: "i", Scope: "s",
		},
	}
	enabled := w
	enabled.Enabled, enabled.DisabledAt = true, time.Time{}
	more := w
	more.Retry = &delivery.Retry{Attempts: 4, Delays: []time.Duration{0, time.Hour}, Jitter: []time.Duration{0, 1}}
	more.SecretChangedAt, more.PreviousSecret, more.PreviousSecretUntil = at, "p", at.Add(2*time.Hour)
	more.DisabledReason, more.Concurrency = delivery.DisabledFailing, 300
	empty := w
	empty.Retry = &delivery.Retry{}
	empty.RateLimit = &delivery.RateLimit{Requests: 7, Per: 90 * time.Minute}
	for _, w := range []delivery.Webhook{w, enabled, more, empty} {
		b := EncodeWebhook(&w, nil)
		if got, err := DecodeWebhook(b, w.Ref(), nil); err != nil || !reflect.DeepEqual(*got, w) {
			t.Errorf("read as %+v, %v, want %+v", got, err, w)
		}
		if has := bytes.Contains(b, []byte("disabled_at")); has == w.Enabled {
			t.Errorf("that it says when it was disabled is %t of %+v", has, w)
		}
	}
	earlier := w
	earlier.DisabledAt = time.Time{}
	if got, err := DecodeWebhook(EncodeWebhook(&earlier, nil), earlier.Ref(), nil); err != nil || !got.DisabledSince().Equal(w.UpdatedAt) {
		t.Errorf("one of an earlier version is %+v, %v", got, err)
	}
}
