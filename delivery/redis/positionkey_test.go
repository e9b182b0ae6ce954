package redis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// knows says whether a store knows a position of a tenant.
func knows(t *testing.T, s *Store, tenant, position string) bool {
	t.Helper()
	f, err := s.Follow(t.Context(), tenant, position)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = f.Next(ctx)
	if err != nil && !errors.Is(err, delivery.ErrLostPlace) && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	return !errors.Is(err, delivery.ErrLostPlace)
}

// TestPositionsAreShared has a store of an earlier version, which has no key for positions:
// the processes that open it agree on one, and a position is that of one tenant.
func TestPositionsAreShared(t *testing.T) {
	o := options()
	first := open(t, o)
	if err := first.client().HDel(t.Context(), first.keys.meta(), positionsField).Err(); err != nil {
		t.Fatal(err)
	}
	second, third := open(t, o), open(t, o)
	f, err := second.Follow(t.Context(), "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	position := f.Position()
	if !knows(t, third, "acme", position) {
		t.Error("another process does not know the position")
	}
	if knows(t, third, "other", position) {
		t.Error("another tenant's position is known")
	}
	last, err := (&source{store: second, partition: (*second.partitions.Load())[0]}).Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if knows(t, second, "acme", last.String()) {
		t.Error("a position of an earlier version is known")
	}
}

// TestPositionKeyOfFullRedis opens a store of an earlier version in a Redis that is full:
// positions are good in the process that gave them.
func TestPositionKeyOfFullRedis(t *testing.T) {
	o := Options{Addresses: []string{redistest.Start(t).Addr}}
	first := open(t, o)
	client := first.client()
	client.HDel(t.Context(), first.keys.meta(), positionsField)
	client.ConfigSet(t.Context(), "maxmemory", "1mb")
	second := open(t, o)
	client.ConfigSet(t.Context(), "maxmemory", "0")
	f, err := second.Follow(t.Context(), "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !knows(t, second, "acme", f.Position()) {
		t.Error("the position is not known")
	}
}
