package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// TestConcurrencyOfWebhook sends many events to webhooks with numbers of their own, fewer and more
// than the configuration's, and changes one: none has more requests in flight, and all that is
// emitted is delivered.
func TestConcurrencyOfWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(after(300*time.Millisecond)), func(s *delivery.Settings) {
			s.Concurrency, s.ConcurrencyPerWebhook = 60, 8
		})
		defer r.stop()
		urls := map[string]int{"https://one.example": 1, "https://three.example": 3, "https://usual.example": 0, "https://many.example": 20}
		refs := make(map[string]delivery.WebhookRef)
		set := func(url string, n int) {
			t.Helper()
			if _, err := r.ChangeWebhook(t.Context(), refs[url], func(w *delivery.Webhook) { w.Concurrency = n }); err != nil {
				t.Fatal(err)
			}
		}
		for url, n := range urls {
			refs[url] = r.webhook(url).Ref()
			set(url, n)
		}
		check := func(when string) {
			t.Helper()
			for range 20 {
				r.emit(20)
			}
			time.Sleep(10 * time.Minute)
			for url, n := range urls {
				if n == 0 {
					n = 8
				}
				if got := r.sender.atMost(url); got != n {
					t.Errorf("%s: %s had %d requests in flight, want %d", when, url, got, n)
				}
			}
		}
		check("at first")
		for url, n := range map[string]int{"https://one.example": 5, "https://many.example": 2, "https://three.example": 0} {
			urls[url] = n
			set(url, n)
		}
		check("after changes")
		made := make(map[uuid.UUID]int)
		for _, row := range r.log() {
			made[row.WebhookID]++
		}
		for url, ref := range refs {
			if made[ref.ID] != 800 {
				t.Errorf("%s got %d requests, want 800", url, made[ref.ID])
			}
		}
	})
}
