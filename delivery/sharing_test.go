package delivery_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// Tenants whose endpoints hang have as many tests in flight as they can: there is one for
// each of many others.
func TestSendsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(hang))
		defer r.stop()
		began := time.Now()
		test := func(tenant string) {
			w, err := r.CreateWebhook(t.Context(), delivery.Webhook{
				Tenant: tenant, URL: "https://a.example", Enabled: true, EventTypes: []string{delivery.AllEventTypes},
			})
			if err != nil {
				t.Error(err)
				return
			}
			_, err = r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "a", Data: []byte(`{}`)})
			if errors.Is(err, delivery.ErrBusy) && time.Since(began) > 0 || err != nil && !errors.Is(err, delivery.ErrBusy) {
				t.Errorf("tenant %s: %v", tenant, err)
			}
		}
		for i := range 10 {
			for range 2 * delivery.MaxTenantSendNow {
				go test(fmt.Sprint("greedy-", i))
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		for i := range 50 {
			go test(fmt.Sprint("other-", i))
		}
		time.Sleep(time.Minute)
	})
}

// TestFollowersAreShared has tenants that follow as much as they can: all together are
// bounded, and there is a place for each of many others.
func TestFollowersAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		r := run(t, store, newEndpoints(ok))
		defer r.stop()
		defer store.Close()
		var all []delivery.Follower
		follow := func(tenant string) bool {
			f, err := r.Follow(t.Context(), tenant, "")
			if err == nil {
				all = append(all, f)
			}
			return err == nil
		}
		for i := range 500 {
			for follow(fmt.Sprint("greedy-", i)) {
			}
		}
		if len(all) > 2000 {
			t.Errorf("there are %d followers", len(all))
		}
		for i := range 500 {
			if !follow(fmt.Sprint("other-", i)) {
				t.Fatalf("no place for other tenant %d", i)
			}
		}
		for i := range 1000 {
			follow(fmt.Sprint("more-", i))
		}
		if len(all) != 2048 {
			t.Errorf("there are %d followers in the end", len(all))
		}
		for _, f := range all {
			f.Close()
		}
	})
}
