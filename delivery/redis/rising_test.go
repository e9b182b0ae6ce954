package redis

import (
	"flag"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// Tables of Redis grow step by step when their size comes to a power of two. What that costs,
// less than a microsecond for an event, must not fall into the measured time of one of the two:
// so the long log is well between two powers.
var rows = flag.Int("rows", 150_000, "how many rows the long log of TestRising has")

// TestRising gives each store a server of its own, whose main thread's time counts.
func TestRising(t *testing.T) {
	storetest.Rising{
		New: func(t testing.TB) delivery.Copyable {
			return open(t, Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "rising"})
		},
		CPU:  func(t testing.TB, s delivery.Store) time.Duration { return serverCPU(t, s.(*Store)) },
		Rows: *rows,
	}.Run(t)
}
