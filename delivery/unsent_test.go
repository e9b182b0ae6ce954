package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// TestUnsentIsNoFailure has requests fail of which nothing was sent, since the transform fails or
// an admin cancels the delivery. They do not disable the webhook, nor keep others from that.
func TestUnsentIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), func(s *delivery.Settings) {
			s.Retry.Attempts, s.DisableAfter = 2, time.Hour
			s.Retry.Delays = []time.Duration{24 * time.Hour}
		})
		defer r.stop()
		w := r.webhook("https://a.example")
		r.change(func(w *delivery.Webhook) { w.Transform = "data.n > 0 ? data : data.missing" })
		emit := func(data string) delivery.Receipt {
			receipts, err := r.emitData(data)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(10 * time.Minute)
			return receipts[0]
		}
		for range 30 {
			emit(`{"n":0}`)
		}
		r.wantDisabled("with a transform that fails", "")
		for range 9 {
			event := emit(`{"n":1}`).EventID
			if err := r.CancelDelivery(t.Context(), w.Ref(), event); err != nil {
				t.Fatal(err)
			}
		}
		r.wantDisabled("after nine failures", "")
		for range 2 * 200 {
			emit(`{"n":0}`)
		}
		emit(`{"n":1}`)
		r.wantDisabled("after the tenth failure", delivery.DisabledFailing)
	})
}
