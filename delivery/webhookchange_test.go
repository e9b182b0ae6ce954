package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

func TestStaleWebhooksAreChosenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, sender := flaky.New(), newEndpoints(ok)
		a, b := run(t, store, sender), run(t, store, sender)
		defer a.stop()
		defer b.stop()
		w := a.webhook("https://a.example")
		if n := b.emit(1)[0].Deliveries; n != 1 {
			t.Fatalf("%d deliveries", n)
		}
		a.webhook("https://b.example") // b remembers the webhooks without this one
		if n := b.emit(1)[0].Deliveries; n != 2 {
			t.Errorf("%d deliveries after a webhook was added elsewhere, want 2", n)
		}
		if err := a.DeleteWebhook(t.Context(), w.Ref()); err != nil {
			t.Fatal(err)
		}
		if n := b.emit(1)[0].Deliveries; n != 1 {
			t.Errorf("%d deliveries after a webhook was deleted elsewhere, want 1", n)
		}
		if _, err := a.ChangeWebhook(t.Context(), a.onlyWebhook().Ref(), func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
			t.Fatal(err)
		}
		if n := b.emit(1)[0].Deliveries; n != 0 {
			t.Errorf("%d deliveries to a disabled webhook", n)
		}
	})
}

func TestDisabledWebhookWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)))
		defer r.stop()
		w := r.webhook("https://a.example")
		event := r.emit(1)[0].EventID
		synctest.Wait()
		enable := func(on bool) {
			if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Enabled = on }); err != nil {
				t.Fatal(err)
			}
		}
		enable(false)
		time.Sleep(24 * time.Hour)
		if n := len(r.sender.to(w.URL)); n != 1 {
			t.Fatalf("%d requests to a disabled webhook", n-1)
		}
		if d := r.delivery(event); d.Status != delivery.DeliveryPending || d.Attempts != 1 {
			t.Errorf("delivery of a disabled webhook: %+v", d)
		}
		r.sender.answerWith(ok)
		enabled := time.Now()
		enable(true)
		synctest.Wait()
		at := r.sender.to(w.URL)
		if len(at) != 2 || !at[1].Equal(enabled) {
			t.Errorf("requests at %v, want the second at %v, when the webhook was enabled", at, enabled)
		}
		if d := r.delivery(event); d.Status != delivery.DeliverySuccess || d.Attempts != 2 {
			t.Errorf("delivery %+v", d)
		}
	})
}

func TestRetriesUseTheChangedWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)))
		defer r.stop()
		w := r.webhook("https://old.example")
		r.emit(1)
		synctest.Wait()
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.URL = "https://new.example" }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if a, b := len(r.sender.to("https://old.example")), len(r.sender.to("https://new.example")); a != 1 || b != 2 {
			t.Errorf("%d requests to the old URL and %d to the new one, want 1 and 2", a, b)
		}
	})
}
