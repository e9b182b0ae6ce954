package redis

import (
	"slices"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestStoredUnreadable counts for tenants some of whose counts cannot be read: these are dropped,
// and the others are counted. What no tenant adds to any more expires.
func TestStoredUnreadable(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}})
	base, client := s.keys.base(0), s.client()
	hour := s.Now().Unix() / 3600
	count := func(bytes int64, want ...int64) {
		t.Helper()
		got, err := s.CountStored(t.Context(), []delivery.StoredBytes{{Tenant: "a", Bytes: bytes}, {Tenant: "b", Bytes: bytes}, {Tenant: "c", Bytes: bytes}}, hour, hour-10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %d (%v), want %d", got, err, want)
		}
	}
	count(5, 5, 5, 5)
	if err := client.HSet(t.Context(), base+"stored:a", "nonsense", "1", hour-1, "nonsense", hour-2, 3).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(t.Context(), base+"stored:b", "no hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	count(1, 9, 1, 6)
	count(0, 9, 1, 6)
	if n := client.HLen(t.Context(), base+"stored:a").Val(); n != 2 {
		t.Errorf("%d slices are kept, want 2", n)
	}
	if left := client.TTL(t.Context(), base+"stored:c").Val(); left < 20*time.Hour || left > 100*time.Hour {
		t.Errorf("what is kept for 10 hours expires after %s", left)
	}
}
