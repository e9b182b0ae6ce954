package main

import (
	"context"
	"time"
)

// measureRestart ends a Caddy that has a million pending, without a warning, and
// starts another one: how long until it takes events, and until it sends one.
func measureRestart(ctx context.Context, r *rig) (figures, error) {
	if err := r.pile(ctx); err != nil {
		return nil, err
	}
	r.caddy.Kill()
	before, begin := r.sink.hung.Load(), time.Now()
	if err := r.startCaddy(ctx); err != nil {
		return nil, err
	}
	serves := time.Since(begin)
	for r.sink.hung.Load() == before {
		if !pause(ctx, time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	return figures{serving: serves.Seconds(), sending: time.Since(begin).Seconds()}, nil
}
