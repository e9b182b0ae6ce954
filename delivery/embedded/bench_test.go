package embedded

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// BenchmarkAcceptComplete accepts and delivers events in batches, each of which is written
// to the disk twice. The figures are per event.
func BenchmarkAcceptComplete(b *testing.B) {
	for _, batch := range []int{1, 16, 128, 512} {
		b.Run(strconv.Itoa(batch), func(b *testing.B) { benchmarkLife(b, 1, batch) })
	}
	b.Run("128/webhooks=1000", func(b *testing.B) { benchmarkLife(b, 1000, 128) })
}

func benchmarkLife(b *testing.B, webhooks, batch int) {
	b.Helper()
	load := storetest.Load{Store: open(b, b.TempDir()), Webhooks: webhooks}
	load.Begin(b)
	load.Run(b, batch)
}

// BenchmarkGrown does the same, and reads a page of the log, in a file that has much in it
// already.
func BenchmarkGrown(b *testing.B) {
	for _, rows := range []int{10_000, 5_000_000} {
		for _, load := range []storetest.Load{{}, {ForeignIDs: true}, {Webhooks: 10_000}} {
			name := fmt.Sprintf("rows=%d/webhooks=%d/foreign=%t", rows, max(1, load.Webhooks), load.ForeignIDs)
			b.Run(name, func(b *testing.B) {
				load.Store = open(b, b.TempDir())
				load.Begin(b)
				for n := 0; n < rows; n += 1000 {
					calls, accepted := load.Accept(b, 1000, true)
					load.Complete(b, calls, accepted)
				}
				b.Run("life", func(b *testing.B) { load.Run(b, 128) })
				b.Run("page", func(b *testing.B) {
					for b.Loop() {
						if _, err := load.Store.Requests(b.Context(), "load-0", delivery.RequestFilter{Limit: 50}); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkOpen opens a file with 1,000,000 pending deliveries, and claims the first one
// that is due. It also reports how much memory a delivery takes.
func BenchmarkOpen(b *testing.B) {
	const deliveries = 1_000_000
	folder := b.TempDir()
	fillPending(b, folder, deliveries)
	for b.Loop() {
		b.StopTimer()
		before := heapInUse()
		b.StartTimer()
		s := New(folder)
		if err := s.Open(b.Context()); err != nil {
			b.Fatal(err)
		}
		claimed, err := s.Claim(b.Context(), 0, delivery.Room{Fast: 1, PerWebhook: 1, Lease: time.Hour})
		if err != nil || len(claimed.Jobs) != 1 {
			b.Fatalf("claimed %d, %v", len(claimed.Jobs), err)
		}
		b.StopTimer()
		b.ReportMetric(float64(heapInUse()-before)/deliveries, "B/delivery")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func fillPending(b *testing.B, folder string, deliveries int) {
	b.Helper()
	s := New(folder)
	if err := s.Open(b.Context()); err != nil {
		b.Fatal(err)
	}
	load := storetest.Load{Store: s, Webhooks: 100}
	load.Begin(b)
	for range deliveries / 1000 {
		load.Accept(b, 1000, false)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// heapInUse is how many bytes are in use.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSweep removes 200,000 events with their requests, step by step. It reports how
// long the longest step blocked the writer, how much of the file an event takes, and how
// much the file has grown after as many more events.
func BenchmarkSweep(b *testing.B) {
	const events, batch = 200_000, 100
	for b.Loop() {
		folder := b.TempDir()
		s := open(b, folder)
		load := storetest.Load{Store: s}
		load.Begin(b)
		fill := func() {
			for range events / batch {
				calls, accepted := load.Accept(b, batch, true)
				load.Complete(b, calls, accepted)
			}
		}
		fill()
		before := fileSize(b, folder)
		var longest time.Duration
		for more := true; more; {
			begin := time.Now()
			var err error
			if more, err = s.Sweep(b.Context(), -2*delivery.EventGrace); err != nil {
				b.Fatal(err)
			}
			longest = max(longest, time.Since(begin))
		}
		fill()
		b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest-step")
		b.ReportMetric(float64(before)/events, "B/event")
		b.ReportMetric(float64(fileSize(b, folder))/float64(before), "file-growth")
	}
}

func fileSize(b *testing.B, folder string) int64 {
	b.Helper()
	info, err := os.Stat(filepath.Join(folder, fileName))
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// BenchmarkStats reads the statistics of webhooks.
func BenchmarkStats(b *testing.B) { storetest.Stats(b, open(b, b.TempDir())) }

// BenchmarkNeighbour emits beside a tenant that does the worst it can with its webhooks.
func BenchmarkNeighbour(b *testing.B) {
	(&storetest.Neighbour{Store: open(b, b.TempDir())}).Run(b)
}

// BenchmarkReplay replays a tenth of so many events: see storetest.Replay.
func BenchmarkReplay(b *testing.B) {
	for _, events := range []int{100_000, 1_000_000} {
		b.Run(strconv.Itoa(events), func(b *testing.B) { storetest.Replay(b, open(b, b.TempDir()), events) })
	}
}
