package delivery

import (
	"strings"
	"testing"
)

// TestSingleFilters remembers no more webhooks with long filters than there is room for.
func TestSingleFilters(t *testing.T) {
	t.Parallel()
	const most, size = 100_000, 2000
	c := recordCache{most: most}
	for range 1000 {
		c.put(new(subscription), &Webhook{Filter: strings.Repeat("x", size)})
	}
	if n := len(c.of); n == 0 || n > most/size || c.used.Len() != n {
		t.Errorf("%d webhooks are remembered", n)
	}
}
