package redis

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// BenchmarkAcceptComplete accepts and delivers events in batches: 500 bytes, one delivery
// that is born leased, a success, one row of the log. The figures are per event.
func BenchmarkAcceptComplete(b *testing.B) {
	for _, batch := range []int{1, 16, 128, 512} {
		b.Run(strconv.Itoa(batch), func(b *testing.B) { benchmarkLife(b, 1, batch) })
	}
	for _, webhooks := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("128/webhooks=%d", webhooks), func(b *testing.B) { benchmarkLife(b, webhooks, 128) })
	}
}

func benchmarkLife(b *testing.B, webhooks, batch int) {
	b.Helper()
	s := open(b, options())
	load := storetest.Load{Store: s, Webhooks: webhooks, Size: 500}
	load.Begin(b)
	before := serverCPU(b, s)
	load.Run(b, batch)
	b.StopTimer()
	b.ReportMetric(float64((serverCPU(b, s)-before).Nanoseconds())/float64(b.N), "redis-ns/op")
	s.client().FlushAll(b.Context())
}

// BenchmarkAccept accepts events and leaves them pending: 100 in a batch, each in a call of its
// own or all in one, with ids that the engine makes or with those of an emitter.
func BenchmarkAccept(b *testing.B) {
	for _, calls := range []int{1, 100} {
		for _, ids := range []string{"own", "foreign"} {
			b.Run(fmt.Sprintf("calls=%d/ids=%s", calls, ids), func(b *testing.B) {
				const events = 100
				s := open(b, options())
				load := storetest.Load{Store: s, ForeignIDs: ids == "foreign", Size: 500}
				load.Begin(b)
				batch := delivery.AcceptBatch{Calls: make([]delivery.AcceptCall, calls), Lease: testLease, Retention: testRetention}
				before := serverCPU(b, s)
				for done := 0; b.Loop(); done++ {
					if done%events > 0 { // b.N counts events
						continue
					}
					for i := range batch.Calls {
						batch.Calls[i] = load.Call(events/calls, true)
					}
					for _, result := range s.Accept(b.Context(), batch) {
						if result.Err != nil {
							b.Fatal(result.Err)
						}
					}
				}
				b.StopTimer()
				b.ReportMetric(float64((serverCPU(b, s)-before).Nanoseconds())/float64(b.N), "redis-ns/op")
				s.client().FlushAll(b.Context())
			})
		}
	}
}

// BenchmarkMemory reports how much of Redis's memory an event takes: with its payload if it
// was delivered once, and without that while it is pending.
func BenchmarkMemory(b *testing.B) {
	const events, batch = 100_000, 100
	measure := func(b *testing.B, size int, payload float64, take func(load *storetest.Load)) {
		b.Helper()
		for b.Loop() {
			s := open(b, options())
			load := storetest.Load{Store: s, Size: size}
			load.Begin(b)
			before := serverMemory(b, s)
			for range events / batch {
				take(&load)
			}
			b.ReportMetric(float64(serverMemory(b, s)-before)/events-payload, "B/event")
			s.client().FlushAll(b.Context())
		}
	}
	b.Run("delivered", func(b *testing.B) {
		measure(b, 500, 0, func(load *storetest.Load) {
			calls, accepted := load.Accept(b, batch, true)
			load.Complete(b, calls, accepted)
		})
	})
	for _, size := range []int{300, 400, 500, 536, 600, 700, 800, 1000, 2000} {
		b.Run("pending/"+strconv.Itoa(size), func(b *testing.B) {
			measure(b, size, float64(size), func(load *storetest.Load) { load.Accept(b, batch, false) })
		})
	}
}

// serverMemory is the memory that Redis uses.
func serverMemory(b *testing.B, s *Store) int64 {
	b.Helper()
	info, err := s.client().Info(b.Context(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	bytes, err := strconv.ParseInt(infoField(info, "used_memory"), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}

// serverCPU is the processor time that Redis has used.
func serverCPU(b testing.TB, s *Store) time.Duration {
	b.Helper()
	info, err := s.client().Info(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var total time.Duration
	for _, name := range []string{"used_cpu_user_main_thread", "used_cpu_sys_main_thread"} {
		seconds, err := strconv.ParseFloat(infoField(info, name), 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(seconds * float64(time.Second))
	}
	return total
}

// BenchmarkRequests reads pages of a log of 100,000 rows over 30 days.
func BenchmarkRequests(b *testing.B) {
	const rows, days, chunk = 100_000, 30, 1000
	s := open(b, options())
	w := addWebhook(b, s, testTenant)
	call := newCall(s, w, 1, 100, true)
	accepted := mustAccept(b, s, call)
	for n := 0; n < rows; n += chunk {
		outcomes := make([]delivery.Outcome, chunk)
		for i := range outcomes {
			o := success(s, w, &call.Events[0], &accepted)
			o.LeaseEnd, o.Request.Trigger = 0, delivery.TriggerRerun
			o.Request.EventType = "type_" + strconv.Itoa((n+i)%8)
			o.Request.ID = delivery.NewID(s.Now().Add(-time.Duration(n+i) * (days * 24 * time.Hour / rows)))
			outcomes[i] = o
		}
		if err := errors.Join(s.Complete(b.Context(), outcomes)...); err != nil {
			b.Fatal(err)
		}
	}
	for name, filter := range map[string]delivery.RequestFilter{
		"all":    {},
		"type":   {EventType: "type_3"},
		"none":   {Status: delivery.RequestFailed},
		"oldest": {Until: s.Now().Add(-29 * 24 * time.Hour)},
	} {
		filter.Limit = 50
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Requests(b.Context(), testTenant, filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	s.client().FlushAll(b.Context())
}

// BenchmarkStats reads the statistics of webhooks.
func BenchmarkStats(b *testing.B) {
	s := open(b, options())
	storetest.Stats(b, s)
	s.client().FlushAll(b.Context())
}

// BenchmarkNeighbour emits beside a tenant that does the worst it can with its webhooks.
func BenchmarkNeighbour(b *testing.B) {
	s := open(b, options())
	// How long Redis serves nobody else.
	if err := s.client().ConfigSet(b.Context(), "slowlog-log-slower-than", "500").Err(); err != nil {
		b.Fatal(err)
	}
	n := &storetest.Neighbour{Store: s}
	n.Begin = func(b *testing.B) { s.client().SlowLogReset(b.Context()) }
	n.End = func(b *testing.B) {
		longest := time.Duration(0)
		for _, slow := range s.client().SlowLogGet(b.Context(), 1000).Val() {
			longest = max(longest, slow.Duration)
		}
		b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
	}
	n.Run(b)
}

// BenchmarkReplay replays a tenth of so many events: see storetest.Replay.
func BenchmarkReplay(b *testing.B) {
	for _, events := range []int{100_000, 1_000_000} {
		b.Run(strconv.Itoa(events), func(b *testing.B) { storetest.Replay(b, open(b, options()), events) })
	}
}
