package embedded

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) delivery.Store { return open(t, t.TempDir()) })
}

// open opens a store in a folder, until the test ends.
func open(t testing.TB, folder string) *Store {
	t.Helper()
	s := New(folder)
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
