package embedded

import (
	"bytes"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// hushedRows counts the rows of the log that have the secret.
func hushedRows(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.read(func(v *view) error {
		n = 0
		c := v.bucket(requestsBucket).cursor()
		for k, row := c.First(); k != nil; k, row = c.Next() {
			if bytes.Contains(row, []byte(hushSecret)) {
				n++
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestEraseDeleted erases an event whose webhook was deleted: the rows that nobody may see any more have
// no bodies either, before Sweep removes them. If it has begun to, it has removed the rest in the end.
func TestEraseDeleted(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string]int{"before Sweep": 0, "while it removes the rows": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			s := opened(t, New(folder))
			w := newHook(t, s)
			id := hushed(t, s, w, 2*erasedPerWrite+1)
			retried := newHook(t, s)
			other := hushed(t, s, retried, 3)
			if err := s.DeleteWebhook(t.Context(), w.Ref()); err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteWebhook(t.Context(), retried.Ref()); err != nil {
				t.Fatal(err)
			}
			for range steps {
				if _, err := s.Sweep(t.Context(), delivery.StatsKept); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.EraseEvent(t.Context(), w.Tenant, id); err != nil {
				t.Fatal(err)
			}
			if err := s.EraseEvent(t.Context(), w.Tenant, other); err != nil {
				t.Fatal(err)
			}
			if n := hushedRows(t, s); n != 0 && steps == 0 {
				t.Errorf("%d rows have what was erased", n)
			}
			wipeNow(t, s)
			if n := hushedRows(t, s) + found(t, folder, hushSecret); n != 0 {
				t.Errorf("what was erased is there %d times", n)
			}
		})
	}
}
