package delivery

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
)

// What a change of the webhook changes goes with the next request.
func TestPreparedFollowsWebhook(t *testing.T) {
	t.Parallel()
	var c preparedWebhooks
	settings := DefaultSettings()
	ev := &Event{ID: uuid.New(), Payload: []byte(`{}`)}
	versions := []Webhook{
		{URL: "https://a.example", Secret: "first"},
		{URL: "https://a.example", Secret: "second"},
		{URL: "https://b.example", Secret: "second"},
		{URL: "https://b.example"},
		{URL: "https://a.example", Secret: "first"},
	}
	for _, w := range versions {
		for range 2 {
			p := c.get(&settings, &w)
			m := p.message(&settings, ev, time.Now())
			signed := len(m.Values) == 1 && m.Values[0] == Signature(w.Secret, ev.Payload)
			if m.URL != w.URL || signed != (w.Secret != "") || (p.headers.SignatureHeader != "") != signed {
				t.Errorf("%+v: got %+v of %+v", w, m, p)
			}
			if c.get(&settings, &w) != p {
				t.Errorf("%+v was prepared twice", w)
			}
		}
	}
}

func TestPreparedIsBounded(t *testing.T) {
	t.Parallel()
	var c preparedWebhooks
	settings := DefaultSettings()
	for range maxPrepared + 1 {
		c.get(&settings, &Webhook{ID: uuid.New(), URL: "https://a.example"})
	}
	if n := len(c.byID); n == 0 || n > maxPrepared {
		t.Errorf("%d webhooks are remembered", n)
	}
}

// BenchmarkMessage makes what is sent of an event, but not the request itself.
func BenchmarkMessage(b *testing.B) {
	for _, standard := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "standard"}[standard], func(b *testing.B) {
			var c preparedWebhooks
			settings := DefaultSettings()
			settings.StandardWebhooks = standard
			w := &Webhook{ID: uuid.New(), URL: "https://hooks.example/hooks", Secret: "a secret of the usual length, say"}
			ev := &Event{ID: uuid.New(), Payload: bytes.Repeat([]byte("x"), 500)}
			at := time.Unix(1_773_426_600, 0)
			b.ReportAllocs()
			for b.Loop() {
				c.get(&settings, w).message(&settings, ev, at)
			}
		})
	}
}
