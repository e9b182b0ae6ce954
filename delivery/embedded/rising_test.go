package embedded

import (
	"flag"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

var rows = flag.Int("rows", 150_000, "how many rows the long log of TestRising has")

// TestRising runs by itself: the time of the process must be that of one store.
func TestRising(t *testing.T) {
	storetest.Rising{
		New:  func(t testing.TB) delivery.Copyable { return open(t, t.TempDir()) },
		CPU:  func(t testing.TB, _ delivery.Store) time.Duration { return processCPU(t) },
		Rows: *rows,
	}.Run(t)
}

// processCPU is the processor time that this process has used.
func processCPU(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
