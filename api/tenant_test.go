package api

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestValidTenant compares names with the contract's pattern.
func TestValidTenant(t *testing.T) {
	pattern := regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	names := []string{"", "default", "a\n", "\n", "ü", "a b", "a/b", strings.Repeat("a", 128), strings.Repeat("a", 129)}
	for c := range 256 {
		names = append(names, string([]byte{byte(c)}))
	}
	for _, name := range names {
		if got, want := ValidTenant(name), pattern.MatchString(name); got != want {
			t.Errorf("%q: got %t", name, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[A-Za-z0-9._-]{0,130}`)).Draw(t, "name")
		if got, want := ValidTenant(name), pattern.MatchString(name); got != want {
			t.Errorf("%q: got %t", name, got)
		}
	})
}
