package redis

import (
	"context"
	"errors"
	"iter"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

var _ delivery.Copyable = (*Store)(nil)

// slowMark follows the state of a slow webhook, and queueMark is at the end of that of one that may
// have deliveries that go one at a time.
const (
	slowMark  = "s"
	queueMark = "q"
)

// errEnough: the caller stopped reading the export.
var errEnough = errors.New("enough")

// Exists reports whether the store has been opened before.
func (s *Store) Exists(ctx context.Context) (bool, error) {
	n, err := s.client().Exists(ctx, s.keys.meta()).Result()
	return n > 0, s.wrap(err)
}

// Export reads everything. Events have no index: a scan of all keys finds them.
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
	batch *delivery.Batch // is being filled

	parts []*partition
	// swept is, for each partition, the hour before which its rows have been dropped.
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
		text, err := e.client().Get(e.ctx, sweptKey(p.base)).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			if err := e.mend(e.ctx, p.base, sweptKey(p.base), err); err != nil {
				return err
			}
		}
		hour, _ := strconv.ParseInt(text, 10, 64) // missing before anything was dropped
		e.swept = append(e.swept, hour)
	}
	var err error
	if e.clocks, err = e.keptClocks(e.ctx, e.parts); err != nil {
		return err
	}
	for _, kind := range []func() error{e.webhooks, e.events, e.requests, e.audits} {
		if err := kind(); err != nil {
			return err
		}
		if err := e.yieldBatch(); err != nil {
			return err
		}
	}
	return nil
}

// added yields the batch if it is full.
func (e *export) added() error {
	if !e.batch.Full() {
		return nil
	}
	return e.yieldBatch()
}

func (e *export) yieldBatch() error {
	full := e.batch
	e.batch = new(delivery.Batch)
	if full.Len() > 0 && !e.yield(full, nil) {
		return errEnough
	}
	return e.ctx.Err()
}

// scan calls each for every page of a scan.
func (e *export) scan(page func(cursor uint64) *redis.ScanCmd, each func(found []string) error) error {
	for cursor := uint64(0); ; {
		command := page(cursor)
		found, next, err := command.Result()
		if isWrongType(err) {
			key, _ := command.Args()[1].(string)
			return e.mend(e.ctx, baseOf(key), key, err)
		}
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

// pipeline sends many commands in one round trip. The caller reads their replies; a missing
// key is no error.
func (e *export) pipeline(send func(redis.Pipeliner)) error {
	pipe := e.client().Pipeline()
	send(pipe)
	if pipe.Len() == 0 {
		return nil
	}
	commands, _ := pipe.Exec(e.ctx) // each has its own error
	for _, c := range commands {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			key, _ := c.Args()[1].(string)
			if err := e.mend(e.ctx, baseOf(key), key, err); err != nil {
				return err
			}
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
				if errors.Is(stored.Err(), redis.Nil) {
					continue // its record was set aside
				}
				w, err := decodeWebhook(tenant, id, stored.Val(), e.encryption.Keys())
				if encryption.IsMissingKey(err) {
					return e.encryption.Missing(err)
				}
				if err != nil {
					e.setAside(e.ctx, p.base, unreadableWebhook(p.base, tenant, id, stored.Val(), err))
					continue
				}
				e.batch.AddWebhook(delivery.StoredWebhook{Webhook: *w, Slow: strings.Contains(states[2*i+1], slowMark)})
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

// masters lists the servers that have keys.
func (s *Store) masters(ctx context.Context) (all []*redis.Client, err error) {
	switch c := s.client().(type) {
	case *redis.Client:
		return []*redis.Client{c}, nil
	case *redis.ClusterClient:
		var mu sync.Mutex
		err = c.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, master)
			return nil
		})
	}
	return all, s.wrap(err)
}

// groups divides a list into parts that are read at a time, by the sizes of its values.
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
