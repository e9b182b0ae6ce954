package embedded

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestForeignIDs counts what is looked up in the database, and how often the writer is asked.
func TestForeignIDs(t *testing.T) {
	s := open(t, t.TempDir())
	storetest.RunForeign(t, s, func() map[string]int {
		n := 0
		if err := s.write(reading, func(tx *txn) error {
			open, committed := tx.tx.Stats(), s.file.Stats()
			n = int(open.GetCursorCount() + committed.TxStats.GetCursorCount())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return map[string]int{"cursors": n}
	})
}
