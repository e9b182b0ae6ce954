package redis

import (
	"fmt"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// BenchmarkOrdered accepts and delivers events whose deliveries have order keys. The figures are per
// event.
func BenchmarkOrdered(b *testing.B) {
	for _, keys := range []int{16, 1000} {
		b.Run(fmt.Sprintf("128/keys=%d", keys), func(b *testing.B) {
			s := open(b, options())
			load := storetest.Load{Store: s, Size: 500}
			load.Begin(b)
			before := serverCPU(b, s)
			load.RunOrdered(b, 128, keys)
			b.StopTimer()
			b.ReportMetric(float64((serverCPU(b, s)-before).Nanoseconds())/float64(b.N), "redis-ns/op")
			s.client().FlushAll(b.Context())
		})
	}
}
