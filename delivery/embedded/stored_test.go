package embedded

import (
	"slices"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestStoredIsKept opens a store again that has counted what tenants have stored: it knows it, and
// goes on.
func TestStoredIsKept(t *testing.T) {
	folder := t.TempDir()
	count := func(s *Store, bytes int64, want ...int64) {
		t.Helper()
		got, err := s.CountStored(t.Context(), []delivery.StoredBytes{{Tenant: "a", Bytes: bytes}, {Tenant: "b"}}, 1000, 990)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %d (%v), want %d", got, err, want)
		}
	}
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	count(s, 5, 5, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	count(s, 0, 5, 0)
	count(s, 7, 12, 0)
}
