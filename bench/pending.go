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

// measurePending measures P. A webhook hangs and has a million pending deliveries. It
// measures how much memory each takes, without the payload, and then E with another
// webhook.
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

// memory is how many bytes are in use, without garbage.
type memory struct{ caddy, redis float64 }

func (r *rig) memory(ctx context.Context) (m memory, err error) {
	if m.caddy, err = r.caddyHeap(ctx); err != nil || r.redis == nil {
		return m, err
	}
	used, err := r.redisInfo(ctx, "used_memory")
	m.redis = float64(used)
	return m, err
}

// pile makes pending deliveries for a webhook that hangs.
func (r *rig) pile(ctx context.Context) error {
	r.sink.hanging.Store(true)
	if err := r.subscribe(ctx, oneTenant, r.sink.url+hangPath, pileType); err != nil {
		return err
	}
	return each(ctx, pilePosts, r.pending/pileCall, func(ctx context.Context, _ int) error {
		return r.emit(ctx, oneTenant, appendEvents(nil, r.sink.take(pileCall), pileCall, pileType))
	})
}

// quiet waits until Redis has ended rewriting its file. It rewrites the file since pile
// has made it grow, which must not disturb the load that is measured next.
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
			return fmt.Errorf("Redis has been rewriting its file for more than %s", arriveTimeout)
		}
		if !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}
