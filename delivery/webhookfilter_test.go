package delivery_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// find reads all pages of a list.
func (r *running) find(f delivery.WebhookFilter, limit int) (ids []uuid.UUID, pages int) {
	r.t.Helper()
	for after := (delivery.WebhookPlace{}); ; pages++ {
		found, err := r.FindWebhooks(r.t.Context(), tenant, f, after, limit)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(found.Webhooks) > limit {
			r.t.Errorf("a page of %d has %d webhooks", limit, len(found.Webhooks))
		}
		for _, w := range found.Webhooks {
			ids = append(ids, w.ID)
		}
		if !found.More {
			return ids, pages + 1
		}
		after = found.Next
	}
}

// TestFindWebhooks compares pages of each list with a search through all webhooks, whether these
// are remembered or too large for that.
func TestFindWebhooks(t *testing.T) {
	for _, most := range []int{10_000, 1 << 20} {
		synctest.Test(t, func(t *testing.T) { testFindWebhooks(t, most) })
	}
}

func testFindWebhooks(t *testing.T, most int) {
	r := run(t, flaky.New(), newEndpoints(ok))
	defer r.stop()
	r.RememberLittle(most, 0)
	var all []*delivery.Webhook
	for i := range 137 {
		if i%5 > 0 { // some are made at the same time
			time.Sleep(time.Second)
		}
		w, err := r.CreateWebhook(t.Context(), delivery.Webhook{
			Tenant: tenant, Enabled: i%3 > 0, EventTypes: []string{delivery.AllEventTypes},
			URL:         fmt.Sprintf("https://%d.example/%s", i*7919%41, strings.Repeat("u", 500)), // some are the same
			Description: []string{"", "Orders of the shop", "ÄRGER"}[i%3],
		})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, w)
	}
	orders := map[delivery.WebhookSort]func(a, b *delivery.Webhook) int{
		"":                  delivery.OldestFirst,
		delivery.SortOldest: delivery.OldestFirst,
		delivery.SortNewest: func(a, b *delivery.Webhook) int { return delivery.OldestFirst(b, a) },
		delivery.SortURL: func(a, b *delivery.Webhook) int {
			return cmp.Or(strings.Compare(a.URL, b.URL), delivery.OldestFirst(a, b))
		},
	}
	for sort, order := range orders {
		for _, text := range []string{"", "ORDERS", "ärger", "//7.", all[9].ID.String()[:30], "nothing"} {
			for _, enabled := range []*bool{nil, new(true), new(false)} {
				f := delivery.WebhookFilter{Sort: sort, Text: text, Enabled: enabled}
				var want []uuid.UUID
				for _, w := range slices.SortedFunc(slices.Values(all), order) {
					if f.Matches(w) {
						want = append(want, w.ID)
					}
				}
				for _, limit := range []int{3, 50, 137, 200} {
					if got, _ := r.find(f, limit); !slices.Equal(got, want) {
						t.Errorf("%+v by %d: %d webhooks, or another order, want %d", f, limit, len(got), len(want))
					}
				}
			}
		}
	}
	if n := len(slices.DeleteFunc(slices.Clone(all), func(w *delivery.Webhook) bool { return !strings.Contains(w.URL, "//7.") })); n < 2 || n > 10 {
		t.Errorf("the test looks for %d webhooks", n)
	}
}

// TestFindLooksSoFar finds nothing in many webhooks: each page ends after some.
func TestFindLooksSoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		for range 2100 {
			r.webhook("https://a.example")
		}
		for sort, want := range map[delivery.WebhookSort]int{delivery.SortOldest: 3, delivery.SortNewest: 3, delivery.SortURL: 1} {
			if ids, pages := r.find(delivery.WebhookFilter{Text: "nothing", Sort: sort}, 10); len(ids) > 0 || pages != want {
				t.Errorf("by %s: %d webhooks in %d pages, want none in %d", sort, len(ids), pages, want)
			}
		}
	})
}
