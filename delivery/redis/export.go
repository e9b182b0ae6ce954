package redis

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var _ delivery.Copyable = (*Store)(nil)

// slowMark stands behind the state of a slow webhook.
const slowMark = "s"

// errEnough: whoever asked for the export has seen enough of it.
var errEnough = errors.New("enough")

// Exists says whether a store was opened there before.
func (s *Store) Exists(ctx context.Context) (bool, error) {
	n, err := s.client().Exists(ctx, s.keys.meta()).Result()
	return n > 0, s.wrap(err)
}

// Export reads all there is. Events have no index: they are found by a scan of all
// keys.
func (s *Store) Export(ctx context.Context) iter.Seq2[*delivery.Batch, error] {
	return func(yield func(*delivery.Batch, error) bool) {
		e := &export{Store: s, ctx: ctx, yield: yield, batch: new(delivery.Batch)}
		if err := e.all(); err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// export is one Export.
type export struct {
	*Store
	ctx   context.Context
	yield func(*delivery.Batch, error) bool
	batch *delivery.Batch // what has gathered

	parts []*partition
	// swept is up to which hour each partition has dropped its rows.
	swept  []int64
	clocks []keptClock
}

func (e *export) all() error {
	parts := e.partitions.Load()
	if parts == nil {
		return errNotOpen
	}
	e.parts = *parts
	for _, p := range e.parts {
		hour, err := e.client().Get(e.ctx, sweptKey(p.base)).Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return e.wrap(err)
		}
		e.swept = append(e.swept, hour)
	}
	var err error
	if e.clocks, err = e.keptClocks(e.ctx, e.parts); err != nil {
		return err
	}
	for _, kind := range []func() error{e.webhooks, e.events, e.requests} {
		if err := kind(); err != nil {
			return err
		}
		if err := e.handOver(); err != nil {
			return err
		}
	}
	return nil
}

// added hands the batch over if it is full.
func (e *export) added() error {
	if !e.batch.Full() {
		return nil
	}
	return e.handOver()
}

func (e *export) handOver() error {
	full := e.batch
	e.batch = new(delivery.Batch)
	if full.Len() > 0 && !e.yield(full, nil) {
		return errEnough
	}
	return e.ctx.Err()
}

// scan calls each for the pages of a scan, until there are no more.
func (e *export) scan(page func(cursor uint64) *redis.ScanCmd, each func(found []string) error) error {
	for cursor := uint64(0); ; {
		found, next, err := page(cursor).Result()
		if err != nil {
			return e.wrap(err)
		}
		if err := each(found); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// pipeline sends many commands in one round trip. Their answers are looked at by
// the caller; none is an error because something is not there.
func (e *export) pipeline(send func(redis.Pipeliner)) error {
	pipe := e.client().Pipeline()
	send(pipe)
	if pipe.Len() == 0 {
		return nil
	}
	commands, _ := pipe.Exec(e.ctx) // each has its own error
	for _, c := range commands {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return e.wrap(err)
		}
	}
	return e.ctx.Err()
}

func (e *export) webhooks() error {
	for _, p := range e.parts {
		err := e.scan(func(cursor uint64) *redis.ScanCmd {
			return e.client().HScan(e.ctx, stateKey(p.base), cursor, "", delivery.BatchItems)
		}, func(states []string) error {
			records := make([]*redis.StringCmd, len(states)/2)
			err := e.pipeline(func(pipe redis.Pipeliner) {
				for i := range records {
					tenant, id, _ := strings.Cut(states[2*i], ":")
					records[i] = pipe.HGet(e.ctx, webhooksKey(p.base, tenant), id)
				}
			})
			if err != nil {
				return err
			}
			for i, stored := range records {
				tenant, id, _ := strings.Cut(states[2*i], ":")
				w, err := decodeWebhook(tenant, id, stored.Val())
				if err != nil {
					return err
				}
				e.batch.AddWebhook(delivery.StoredWebhook{Webhook: *w, Slow: len(states[2*i+1]) > 1})
				if err := e.added(); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// masters are the servers that have keys.
func (e *export) masters() (all []*redis.Client, err error) {
	switch c := e.client().(type) {
	case *redis.Client:
		return []*redis.Client{c}, nil
	case *redis.ClusterClient:
		var mu sync.Mutex
		err = c.ForEachMaster(e.ctx, func(_ context.Context, master *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, master)
			return nil
		})
	}
	return all, e.wrap(err)
}

// groups cuts a list into parts that are read at a time, by the sizes of its
// values.
func groups(sizes []*redis.IntCmd) iter.Seq2[int, int] {
	return func(yield func(first, end int) bool) {
		first, bytes := 0, int64(0)
		for i, size := range sizes {
			if bytes += size.Val(); i > first && bytes > delivery.BatchBytes {
				if !yield(first, i) {
					return
				}
				first, bytes = i, size.Val()
			}
		}
		if first < len(sizes) {
			yield(first, len(sizes))
		}
	}
}
