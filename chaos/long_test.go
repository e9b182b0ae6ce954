//go:build chaos && linux

package chaos

import (
	"flag"
	"slices"
	"testing"
	"time"
)

var rounds = flag.Int("rounds", 200, "how often Caddy is killed with each store")

const (
	// killPace keeps Caddys busy that live for a moment only.
	killPace = 30 * time.Millisecond
	long     = time.Minute
)

// TestChaos plays all scenarios, one after the other. It takes some twenty minutes.
func TestChaos(t *testing.T) {
	for _, sc := range slices.Concat(onRedis(), onSentinel, onCluster, onEmbedded()) {
		t.Run(sc.title(), sc.run)
	}
}
