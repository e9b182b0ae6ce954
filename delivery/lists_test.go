package delivery_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// pages reads all webhooks in pages, and calls between after each.
func (r *running) pages(limit int, between func(page int)) (all []*delivery.Webhook) {
	r.t.Helper()
	var after delivery.WebhookPlace
	for n := 0; ; n++ {
		found, err := r.FindWebhooks(r.t.Context(), tenant, delivery.WebhookFilter{}, after, limit)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(found.Webhooks) > limit || found.More && len(found.Webhooks) < limit {
			r.t.Errorf("a page of %d has %d webhooks, more: %t", limit, len(found.Webhooks), found.More)
		}
		if all = append(all, found.Webhooks...); !found.More {
			return all
		}
		after = found.Next
		between(n)
	}
}

// Lists are the same whether the webhooks are remembered or too large for that.
func TestListsOfWebhooks(t *testing.T) {
	for _, most := range []int{10_000, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, flaky.New(), newEndpoints(ok))
			defer r.stop()
			r.RememberLittle(most, 0)
			if none := r.pages(10, nil); len(none) != 0 {
				t.Errorf("without webhooks: %v", none)
			}
			var all []*delivery.Webhook
			for i := range 123 {
				if i%5 > 0 { // some are made at the same time
					time.Sleep(time.Second)
				}
				all = append(all, r.webhook(fmt.Sprintf("https://%d.example/%s", i, strings.Repeat("u", 500))))
			}
			slices.SortFunc(all, delivery.OldestFirst)
			same := func(a, b *delivery.Webhook) bool { return reflect.DeepEqual(a, b) }
			for _, limit := range []int{1, 7, 50, 123, 200} {
				if got := r.pages(limit, func(int) {}); !slices.EqualFunc(got, all, same) {
					t.Errorf("in pages of %d there are %d webhooks, or others", limit, len(got))
				}
			}

			// What is deleted between pages is missing, and nothing else is.
			got := r.pages(20, func(page int) {
				for _, i := range []int{20*page + 19, 20*page + 21} { // where the page ends, and behind
					if err := r.DeleteWebhook(t.Context(), all[i].Ref()); err != nil {
						t.Fatal(err)
					}
				}
			})
			if len(got) < 123-6-6 || !slices.IsSortedFunc(got, delivery.OldestFirst) {
				t.Errorf("%d webhooks are listed while others are deleted", len(got))
			}
		})
	}
}

func TestStatsOfSomeWebhooks(t *testing.T) {
	for _, most := range []int{1000, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, flaky.New(), newEndpoints(ok))
			defer r.stop()
			r.RememberLittle(most, 0)
			var ids []uuid.UUID
			for i := range 60 {
				time.Sleep(time.Second)
				ids = append(ids, r.webhook(fmt.Sprintf("https://%d.example", i)).ID)
			}
			if _, err := r.ChangeWebhook(t.Context(), delivery.WebhookRef{Tenant: tenant, ID: ids[1]}, func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
				t.Fatal(err)
			}
			for _, want := range [][]uuid.UUID{ids, {ids[1], ids[7]}} {
				var asked []uuid.UUID
				if len(want) < len(ids) {
					asked = []uuid.UUID{ids[7], uuid.New(), ids[1], ids[7]} // twice, and not there
				}
				stats, err := r.WebhookStats(t.Context(), tenant, asked...)
				if err != nil {
					t.Fatal(err)
				}
				var got []uuid.UUID
				for _, s := range stats {
					got = append(got, s.WebhookID)
					if disabled := s.WebhookID == ids[1]; s.DisabledSince.IsZero() == disabled {
						t.Errorf("disabled since %s", s.DisabledSince)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("stats of %d webhooks, want %d", len(got), len(want))
				}
			}
			if stats, err := r.WebhookStats(t.Context(), tenant, uuid.New()); err != nil || len(stats) != 0 {
				t.Errorf("of none that exists: %v, %v", stats, err)
			}
		})
	}
}
