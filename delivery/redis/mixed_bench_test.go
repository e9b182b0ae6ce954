package redis

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// BenchmarkMixed accepts and delivers events in batches of 64, while 16 batches are in flight: each
// batch of outcomes has some of many Accepts.
func BenchmarkMixed(b *testing.B) {
	const batch, inFlight = 64, 16 * 64
	for _, webhooks := range []int{1, 1000} {
		b.Run(fmt.Sprintf("webhooks=%d", webhooks), func(b *testing.B) {
			s := open(b, options())
			load := storetest.Load{Store: s, Webhooks: webhooks, Size: 500}
			load.Begin(b)
			before := serverCPU(b, s)
			var calls []delivery.AcceptCall
			var accepted []delivery.Accepted
			for done := 0; b.Loop(); done++ {
				if done%batch > 0 { // b.N counts events
					continue
				}
				c, a := load.Accept(b, batch, true)
				calls, accepted = append(calls, c...), append(accepted, a...)
				if len(calls) <= inFlight {
					continue
				}
				rand.Shuffle(len(calls), func(i, j int) {
					calls[i], calls[j] = calls[j], calls[i]
					accepted[i], accepted[j] = accepted[j], accepted[i]
				})
				load.Complete(b, calls[:batch], accepted[:batch])
				calls, accepted = calls[batch:], accepted[batch:]
			}
			b.StopTimer()
			b.ReportMetric(float64((serverCPU(b, s)-before).Nanoseconds())/float64(b.N), "redis-ns/op")
			s.client().FlushAll(b.Context())
		})
	}
}
