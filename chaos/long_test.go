//go:build chaos

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

// TestChaos plays all scenarios. It takes some twenty minutes.
func TestChaos(t *testing.T) {
	playAll(t, slices.Concat(onRedis(), onSentinel, onCluster, onEmbedded()))
}
