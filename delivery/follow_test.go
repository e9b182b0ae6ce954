package delivery_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// TestFollowersAreBounded has as many followers as a tenant may have, and one more.
func TestFollowersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		r := run(t, store, newEndpoints(ok))
		defer r.stop()
		defer store.Close()
		r.webhook("https://a.example")
		var all []delivery.Follower
		follow := func(tenant string) error {
			f, err := r.Follow(t.Context(), tenant, "")
			if err == nil {
				all = append(all, f)
			}
			return err
		}
		for range 64 {
			if err := follow(tenant); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := follow(tenant); !errors.Is(err, delivery.ErrBusy) {
				t.Errorf("one too many: got %v", err)
			}
		}
		if err := follow("other"); err != nil {
			t.Errorf("another tenant: got %v", err)
		}
		store.Fail(func(string) error { return delivery.ErrUnavailable })
		all[0].Close()
		for range 2 { // a follower that fails takes no place
			if err := follow(tenant); !errors.Is(err, delivery.ErrUnavailable) {
				t.Errorf("a store that is away: got %v", err)
			}
		}
		store.Fail(nil)
		if err := follow(tenant); err != nil {
			t.Errorf("after one has left: got %v", err)
		}
		events := r.emit(1)
		for _, f := range all[len(all)-1:] {
			rows, err := f.Next(t.Context())
			if err != nil || len(rows) != 1 || rows[0].EventID != events[0].EventID {
				t.Errorf("got %+v, %v", rows, err)
			}
		}
		for _, f := range all[1:] {
			f.Close()
		}
	})
}
