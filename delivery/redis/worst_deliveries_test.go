package redis

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// deliveries reads how deliveries stand, and what waits in a long schedule of large events.
func (w worstWatch) deliveries(b *testing.B, tenant string) {
	b.Helper()
	page, err := w.s.Requests(b.Context(), tenant, delivery.RequestFilter{Limit: delivery.MaxPage})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Standing", func(b *testing.B) {
		w.longest(b, func() error {
			_, err := w.s.Standing(b.Context(), tenant, page.Requests)
			return err
		})
	})
	for _, status := range []delivery.RequestStatus{"", delivery.RequestFailed, delivery.RequestSuccess} {
		b.Run("searchLog/"+string(status), func(b *testing.B) { // as replays do
			w.longest(b, func() error {
				page, err := w.s.Requests(b.Context(), tenant, delivery.RequestFilter{Limit: delivery.MaxPage, Status: status})
				if err == nil {
					_, err = w.s.Standing(b.Context(), tenant, page.Requests)
				}
				return err
			})
		})
	}
	b.Run("Resend", func(b *testing.B) {
		w.longest(b, func() error {
			_, _, err := w.s.Resend(b.Context(), tenant, page.Requests[0].ID)
			return err
		})
	})
	for name, size := range map[string]int{"small": 500, "large": 1 << 20} {
		hook := addWebhook(b, w.s, "untried-"+name)
		for range 20 {
			mustAccept(b, w.s, newCall(w.s, hook, min(500, 64<<20/size/20), size, false))
		}
		b.Run("Untried/"+name, func(b *testing.B) {
			for _, from := range []string{"", untriedMiddle(b, w.s, hook.Ref())} {
				w.longest(b, func() error {
					_, err := w.s.Untried(b.Context(), hook.Ref(), from)
					return err
				})
			}
		})
		b.Run("Take/"+name, func(b *testing.B) { w.take(b, hook.Ref()) })
	}
}

// take leases a delivery in a long schedule, and gives it back.
func (w worstWatch) take(b *testing.B, ref delivery.WebhookRef) {
	b.Helper()
	page, err := w.s.Untried(b.Context(), ref, untriedMiddle(b, w.s, ref))
	if err != nil || len(page.Deliveries) == 0 {
		b.Fatal(page, err)
	}
	w.longest(b, func() error {
		job, err := w.s.Take(b.Context(), ref, page.Deliveries[0].EventID, testLease)
		if err != nil {
			return err
		}
		return w.s.Release(b.Context(), []delivery.Lease{{Webhook: ref, EventID: job.Event.ID, LeaseEnd: job.LeaseEnd}})
	})
}

// untriedMiddle is a place some pages on.
func untriedMiddle(b *testing.B, s *Store, ref delivery.WebhookRef) (after string) {
	b.Helper()
	for range 5 {
		page, err := s.Untried(b.Context(), ref, after)
		if err != nil {
			b.Fatal(err)
		}
		if page.Next != "" {
			after = page.Next
		}
	}
	return after
}
