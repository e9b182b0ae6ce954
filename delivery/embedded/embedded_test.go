package embedded

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) delivery.Store { return open(t, t.TempDir()) })
}

// TestSmallJournal uses a small journal, so that the database is committed again and again, and
// reads in small steps.
func TestSmallJournal(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) delivery.Store {
		s := New(t.TempDir())
		s.journalSize, s.stepWork = 64<<10, 50
		return opened(t, s)
	})
}

// open opens a store in a folder, until the test ends.
func open(t testing.TB, folder string) *Store {
	t.Helper()
	return opened(t, New(folder))
}

func opened(t testing.TB, s *Store) *Store {
	t.Helper()
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
