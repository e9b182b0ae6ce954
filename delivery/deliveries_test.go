package delivery_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// deliveries reads all pages of a list.
func (r *running) deliveries(f delivery.DeliveryFilter) (all []delivery.ListedDelivery, pages int) {
	r.t.Helper()
	for pages = 1; ; pages++ {
		page, err := r.Deliveries(r.t.Context(), tenant, f)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(page.Deliveries) > f.Limit {
			r.t.Errorf("a page of %d has %d deliveries", f.Limit, len(page.Deliveries))
		}
		if all = append(all, page.Deliveries...); !page.More {
			return all, pages
		}
		if f.After == page.Next {
			r.t.Fatalf("behind %+v, the next page begins where this one did", f.After)
		}
		f.After = page.Next
	}
}

// TestDeliveriesLookSoFar lists deliveries of many webhooks and requests in pages of several
// lengths: each is in one of them, and no page asks the store often.
func TestDeliveriesLookSoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		r := run(t, store, newEndpoints(status(500)))
		defer r.stop()
		for i := range 130 { // which none of the events goes to, as they come too late
			r.webhook(fmt.Sprintf("https://%d.example", i))
		}
		r.emit(1)
		time.Sleep(time.Hour) // until all attempts have failed
		for range 20 {
			r.emit(1)
		}
		time.Sleep(time.Second)
		failed := 130
		for _, limit := range []int{7, 200} {
			for status, want := range map[delivery.DeliveryStatus]int{"": 21 * 130, delivery.DeliveryFailed: failed, delivery.DeliverySuccess: 0} {
				before := store.Calls("Requests") + store.Calls("Standing") + store.Calls("Untried") + store.Calls("WebhookPending")
				all, pages := r.deliveries(delivery.DeliveryFilter{Status: status, Limit: limit})
				asked := store.Calls("Requests") + store.Calls("Standing") + store.Calls("Untried") + store.Calls("WebhookPending") - before
				seen := make(map[string]bool)
				for _, d := range all {
					seen[fmt.Sprint(d.EventID, d.WebhookID)] = true
				}
				if len(all) != want || len(seen) != want {
					t.Errorf("%q by %d: %d deliveries, %d different ones, want %d", status, limit, len(all), len(seen), want)
				}
				if asked > 22*pages {
					t.Errorf("%q by %d: the store is asked %d times for %d pages", status, limit, asked, pages)
				}
			}
		}
	})
}

// TestDeliveriesBeforeTheirFirstAttempt pages through deliveries that wait, webhook by webhook.
func TestDeliveriesBeforeTheirFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(after(time.Hour)))
		defer r.stop()
		var hooks []*delivery.Webhook
		for i := range 3 {
			time.Sleep(time.Second)
			hooks = append(hooks, r.webhook(fmt.Sprintf("https://%d.example", i)))
		}
		for range 60 {
			r.emit(1)
		}
		synctest.Wait()
		for _, limit := range []int{1, 59, 60, 61, 200} {
			for _, f := range []delivery.DeliveryFilter{{Status: delivery.DeliveryPending}, {}, {WebhookID: hooks[1].ID}, {Status: delivery.DeliveryPending, WebhookID: hooks[2].ID}} {
				want := 180
				if f.WebhookID != uuid.Nil {
					want = 60
				}
				f.Limit = limit
				if all, _ := r.deliveries(f); len(all) != want || all[0].Status != delivery.DeliveryPending || all[0].Last != nil {
					t.Errorf("%+v: %d deliveries, want %d", f, len(all), want)
				}
			}
		}
	})
}
