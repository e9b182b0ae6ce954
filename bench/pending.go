package main

import (
	"context"
	"fmt"
	"time"
)

const (
	pileType  = "never_answered"
	pileCall  = 1000 // events of each call
	pilePosts = 4    // connections
)

// measurePending: P. A webhook hangs and has a million pending: what each takes
// of memory, its payload aside, and E again, for another webhook.
func measurePending(ctx context.Context, r *rig) (figures, error) {
	before, err := r.memory(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.pile(ctx); err != nil {
		return nil, err
	}
	if err := r.quiet(ctx); err != nil {
		return nil, err
	}
	after, err := r.memory(ctx)
	if err != nil {
		return nil, err
	}
	f, err := measureArrays(ctx, r)
	if err != nil {
		return nil, err
	}
	n := float64(r.pending)
	f[pendingCaddy] = (after.caddy - before.caddy) / n
	if r.redis != nil {
		f[pendingRedis] = (after.redis-before.redis)/n - float64(len(appendDelivered(nil, firstNumber)))
	}
	return f, nil
}

// memory is what is held, garbage aside.
type memory struct{ caddy, redis float64 }

func (r *rig) memory(ctx context.Context) (m memory, err error) {
	if m.caddy, err = r.caddyHeap(ctx); err != nil || r.redis == nil {
		return m, err
	}
	used, err := r.redisInfo(ctx, "used_memory")
	m.redis = float64(used)
	return m, err
}

// pile makes pending deliveries of a webhook that hangs.
func (r *rig) pile(ctx context.Context) error {
	r.sink.hanging.Store(true)
	if err := r.subscribe(ctx, oneTenant, r.sink.url+hangPath, pileType); err != nil {
		return err
	}
	return each(ctx, pilePosts, r.pending/pileCall, func(ctx context.Context, _ int) error {
		return r.emit(ctx, oneTenant, appendEvents(nil, r.sink.take(pileCall), pileCall, pileType))
	})
}

// quiet waits until Redis does not rewrite its file any more, which it begins as
// that has grown: a million events in a minute are the bench's, not the load's.
func (r *rig) quiet(ctx context.Context) error {
	if r.redis == nil {
		return nil
	}
	for deadline := time.Now().Add(arriveTimeout); ; {
		rewriting, err := r.redisInfo(ctx, "aof_rewrite_in_progress")
		if err != nil || rewriting == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("Redis rewrites its file for more than %s", arriveTimeout)
		}
		if !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}
