package delivery_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// TestWebhookTimeout has requests last longer than a lease of the configured timeout, with two
// processes on the store. None may be sent a second time meanwhile, be it a first attempt or a
// retry.
func TestWebhookTimeout(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"longer": time.Minute, "a little longer": 20 * time.Second, "shorter": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				statuses := []int{500, 200}
				store, endpoint := flaky.New(), newEndpoints(func(_ context.Context, m sender.Message) sender.Response {
					if m.Timeout != timeout {
						t.Errorf("the timeout is %s, want %s", m.Timeout, timeout)
					}
					time.Sleep(m.Timeout - time.Millisecond)
					if len(statuses) == 0 {
						return sender.Response{StatusCode: 200}
					}
					status := statuses[0]
					statuses = slices.Delete(statuses, 0, 1)
					return sender.Response{StatusCode: status}
				})
				r, other := run(t, store, endpoint), run(t, store, endpoint)
				defer r.stop()
				defer other.stop()
				w := r.webhook("https://a.example")
				if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Timeout = timeout }); err != nil {
					t.Fatal(err)
				}
				event := r.emit(1)[0].EventID
				time.Sleep(time.Hour)
				synctest.Wait()
				if rows := r.log(); len(rows) != 2 {
					t.Fatalf("%d requests were made", len(rows))
				}
				if d := r.delivery(event); d.Status != delivery.DeliverySuccess || d.Attempts != 2 {
					t.Errorf("the delivery is %+v", d)
				}
			})
		})
	}
}
