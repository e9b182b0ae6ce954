package main

import (
	"context"
	"time"
)

// measureRestart kills a Caddy that has a million pending deliveries, and starts another
// one. It measures how long that takes to accept events, and to send one.
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
