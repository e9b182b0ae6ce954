package delivery_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// signatures notes by which of some secrets the requests are signed, in their order.
type signatures struct {
	mu     sync.Mutex
	signed [][]string
}

func (s *signatures) respond(_ context.Context, m sender.Message) sender.Response {
	var by []string
	for _, value := range m.Values {
		for _, secret := range []string{"first", "second", "third"} {
			if value == delivery.Signature(secret, m.Body) {
				by = append(by, secret)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signed = append(s.signed, by)
	return sender.Response{StatusCode: 204}
}

// rotating is an engine with a webhook whose secret is "first".
type rotating struct {
	*running
	got signatures
	ref delivery.WebhookRef
}

func newRotating(t *testing.T) *rotating {
	r := &rotating{}
	r.running = run(t, flaky.New(), newEndpoints(r.got.respond))
	r.ref = r.webhook("https://a.example").Ref()
	r.patch("first")
	return r
}

// patch sets the secret as a PATCH does.
func (r *rotating) patch(secret string) *delivery.Webhook {
	r.t.Helper()
	w, err := r.ChangeWebhook(r.t.Context(), r.ref, func(w *delivery.Webhook) { w.SetSecret(secret) })
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *rotating) rotate(secret string, grace time.Duration) *delivery.Webhook {
	r.t.Helper()
	w, err := r.RotateSecret(r.t.Context(), r.ref, secret, grace)
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// wantSigned sends an event, and checks by which secrets it is signed, and what the log shows.
func (r *rotating) wantSigned(want ...string) {
	r.t.Helper()
	time.Sleep(time.Millisecond) // so that the log has it last
	r.emit(1)
	synctest.Wait()
	if got := r.got.signed[len(r.got.signed)-1]; !slices.Equal(got, want) {
		r.t.Errorf("signed by %q, want %q", got, want)
	}
	rows := r.log()
	header := rows[len(rows)-1].SentHeader()
	previous := header.Get("X-Level-Signature-Previous")
	if (previous != "") != (len(want) > 1) || strings.Trim(strings.TrimPrefix(previous, "sha256="), "*") != "" {
		r.t.Errorf("the log shows %v", header)
	}
}

// TestRotateSecret has both secrets sign until the grace ends, and takes the previous one out of
// the store after that, which is no change of the webhook.
func TestRotateSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRotating(t)
		defer r.stop()
		r.wantSigned("first")
		time.Sleep(time.Minute)
		w := r.rotate("second", time.Hour)
		if !w.SecretChangedAt.Equal(w.UpdatedAt) || !w.PreviousSecretUntil.Equal(w.UpdatedAt.Add(time.Hour)) {
			t.Errorf("the rotated webhook is %+v", w)
		}
		r.wantSigned("second", "first")
		time.Sleep(time.Hour - 3*time.Millisecond)
		r.wantSigned("second", "first")
		r.wantSigned("second")
		kept, _, err := r.store.Webhook(t.Context(), r.ref)
		if err != nil || kept.PreviousSecret != "" || !kept.PreviousSecretUntil.IsZero() || !kept.UpdatedAt.Equal(w.UpdatedAt) || kept.Secret != "second" {
			t.Errorf("the store has %+v, %v", kept, err)
		}
	})
}

// TestRotateAgain keeps only the secret just before the present one.
func TestRotateAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRotating(t)
		defer r.stop()
		r.rotate("second", time.Hour)
		before := r.rotate("third", time.Hour)
		r.wantSigned("third", "second")
		time.Sleep(time.Minute)
		again := r.rotate("third", 2*time.Hour)
		if !again.SecretChangedAt.Equal(before.SecretChangedAt) || again.PreviousSecret != "second" || !again.PreviousSecretUntil.Equal(again.UpdatedAt.Add(2*time.Hour)) {
			t.Errorf("after the same call again it is %+v", again)
		}
		r.wantSigned("third", "second")
		r.rotate("third", 0)
		r.wantSigned("third")
		r.rotate("first", 0)
		r.wantSigned("first")
		r.rotate("second", time.Hour)
		if w := r.patch("second"); w.PreviousSecret != "" || !w.PreviousSecretUntil.IsZero() {
			t.Errorf("after a PATCH it is %+v", w)
		}
		r.wantSigned("second")
		r.rotate("third", time.Hour)
		if w := r.patch(""); w.PreviousSecret != "" || !w.SecretChangedAt.Equal(w.UpdatedAt) {
			t.Errorf("without a secret it is %+v", w)
		}
		r.wantSigned()
		if w := r.rotate("first", time.Hour); w.PreviousSecret != "" || !w.PreviousSecretUntil.IsZero() {
			t.Errorf("with its first secret it is %+v", w)
		}
		r.wantSigned("first")
	})
}

// TestChangeAfterGrace drops what the grace has left with the next change.
func TestChangeAfterGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRotating(t)
		defer r.stop()
		r.rotate("second", time.Hour)
		time.Sleep(time.Hour)
		w, err := r.ChangeWebhook(t.Context(), r.ref, func(w *delivery.Webhook) { w.Description = "changed" })
		if err != nil || w.PreviousSecret != "" || !w.PreviousSecretUntil.IsZero() || w.Secret != "second" {
			t.Errorf("%+v, %v", w, err)
		}
	})
}

// TestGraceCannotEnd has the store refuse to take out the previous secret: the log says so once,
// and a later request does it.
func TestGraceCannotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRotating(t)
		defer r.stop()
		core, said := observer.New(zapcore.ErrorLevel)
		defer r.Attach(delivery.DefaultSettings(), zap.New(core))()
		r.rotate("second", time.Hour)
		r.store.Fail(failing("UpdateWebhook", errLost))
		time.Sleep(time.Hour)
		for range 10 {
			r.wantSigned("second")
		}
		if n := said.FilterMessageSnippet("cannot be taken out of the store").Len(); n != 1 {
			t.Errorf("the log says it %d times", n)
		}
		r.store.Fail(nil)
		r.wantSigned("second")
		if kept, _, err := r.store.Webhook(t.Context(), r.ref); err != nil || kept.PreviousSecret != "" {
			t.Errorf("the store has %+v, %v", kept, err)
		}
	})
}

// TestGraceByTheStoresClock has the store's clock be ahead: what is read of a webhook tells no grace
// that is over by that clock, though the store may still have it.
func TestGraceByTheStoresClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &settable{Store: flaky.New()}
		r := runOn(t, store, store.Store, newEndpoints(ok))
		defer r.stop()
		ref := r.webhook("https://a.example").Ref()
		r.change(func(w *delivery.Webhook) { w.SetSecret("first") })
		if _, err := r.RotateSecret(t.Context(), ref, "second", time.Hour); err != nil {
			t.Fatal(err)
		}
		for _, ahead := range []time.Duration{time.Hour, 59 * time.Minute, -time.Hour, time.Hour} { // what is remembered stays
			want := ahead < time.Hour
			store.set(ahead)
			one, err := r.Webhook(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			found, err := r.FindWebhooks(t.Context(), tenant, delivery.WebhookFilter{}, delivery.WebhookPlace{}, 10)
			if err != nil || len(found.Webhooks) != 1 {
				t.Fatal(found, err)
			}
			for _, w := range []*delivery.Webhook{one, found.Webhooks[0]} {
				if w.PreviousSecretUntil.IsZero() == want {
					t.Errorf("with the clock ahead by %s it is %+v", ahead, w)
				}
			}
		}
	})
}
