package storetest

import (
	"slices"
	"sync"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// alone is how many of the things that fill a tenant are written one by one, by several at the same
// time: those that come to its bound, and some before.
const alone = 300

// fill has the store take things that fill a tenant. The first are added in batches if the store can
// be copied to, which is much quicker than by themselves.
func fill[T any](f *fixture, all []T, add func(*delivery.Batch, T), write func(T) error) {
	f.Helper()
	if to, ok := f.store.(delivery.Copyable); ok {
		for part := range slices.Chunk(all[:len(all)-alone], delivery.BatchItems) {
			batch := new(delivery.Batch)
			for _, one := range part {
				add(batch, one)
			}
			added, err := to.Import(f.Context(), batch)
			if f.must(err); added != len(part) {
				f.Fatalf("%d of %d were added", added, len(part))
			}
		}
		all = all[len(all)-alone:]
	}
	const workers = 16
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := worker; i < len(all); i += workers {
				if err := write(all[i]); err != nil {
					f.Errorf("number %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
