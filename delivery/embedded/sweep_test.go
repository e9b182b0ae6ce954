package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestSweepLarge has events that are larger than what one step removes otherwise: they must
// be removed, and so must the events after them.
func TestSweepLarge(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	var ids []uuid.UUID
	for _, size := range []int{sweepBytes - 1, sweepBytes, 2 * sweepBytes, 10} {
		call := load.Call(1, false)
		call.Events[0].Payload = make([]byte, size)
		batch := delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Retention: time.Hour}
		if r := s.Accept(t.Context(), batch)[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
		ids = append(ids, call.Events[0].ID)
	}
	steps := 0
	for more := true; more; steps++ {
		var err error
		if more, err = s.Sweep(t.Context(), -delivery.EventGrace-time.Minute); err != nil || steps > 2*len(ids) {
			t.Fatalf("after %d steps there is still something to remove, %v", steps, err)
		}
	}
	for _, id := range ids {
		if _, _, err := s.Event(t.Context(), crashTenant, id); !errors.Is(err, delivery.ErrNotFound) {
			t.Errorf("an event past the retention: %v", err)
		}
	}
	if n, err := s.Pending(t.Context()); err != nil || n != 0 {
		t.Errorf("%d pending, %v, want none", n, err)
	}
}
