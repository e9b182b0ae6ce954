package main

import (
	"context"
	"fmt"
	"time"
)

const manyPending = 1_000_000

// measureRestart ends a Caddy that has much to deliver, without a warning, and
// starts another one: nothing has been tried, so that all of it is due.
func measureRestart(ctx context.Context, r *rig) ([]result, error) {
	if err := r.subscribe(ctx, "/hang"); err != nil {
		return nil, err
	}
	body := array(batch)
	for range manyPending / batch {
		if err := r.post(ctx, "/events", body); err != nil {
			return nil, err
		}
	}
	r.caddy.Kill()
	before, begin := r.sink.count(), time.Now()
	if err := r.startCaddy(ctx); err != nil {
		return nil, err
	}
	serving := time.Since(begin)
	for r.sink.count() == before {
		if !pause(ctx, time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	sent := time.Since(begin)
	memory, err := residentMemory(r.caddy.PID())
	if err != nil {
		return nil, err
	}
	return []result{
		{fmt.Sprintf("restart with %d pending: serving, first one sent after", manyPending), fmt.Sprintf("%s, %s", short(serving), short(sent)), "5s, 1s more"},
		{"memory of Caddy then", fmt.Sprintf("%d MB", memory>>20), "under 400 bytes each"},
	}, nil
}
