package storetest

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Received marks messages as being received and then as received, as many at a time as there are
// senders. The figures are per message.
func Received(b *testing.B, store delivery.Store) {
	for _, senders := range []int{1, 16} {
		b.Run("senders="+strconv.Itoa(senders), func(b *testing.B) {
			b.ReportAllocs()
			var begun atomic.Int64
			var receiving sync.WaitGroup
			for range senders {
				receiving.Go(func() {
					for begun.Add(1) <= int64(b.N) {
						m := message()
						for _, m.As = range []delivery.ReceivedAs{delivery.Receiving, delivery.Received} {
							if err := store.MarkReceived(b.Context(), &m); err != nil {
								b.Error(err)
								return
							}
						}
					}
				})
			}
			receiving.Wait()
		})
	}
}
