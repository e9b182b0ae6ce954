package memory_test

import (
	"go/build"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// TestStore runs the suite that every store must pass.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) delivery.Store {
		s := memory.New()
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

// TestImports checks that this store needs nothing that others cannot import.
func TestImports(t *testing.T) {
	t.Parallel()
	const module = "github.com/caddy-webhooks/caddy-webhooks/"
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	ours := slices.DeleteFunc(pkg.Imports, func(path string) bool { return !strings.HasPrefix(path, module) })
	if want := []string{module + "delivery", module + "delivery/follow"}; !slices.Equal(ours, want) {
		t.Errorf("it imports %q, want %q", ours, want)
	}
}
