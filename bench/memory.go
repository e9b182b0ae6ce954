package main

import (
	"context"
	"fmt"
	"time"
)

const (
	pendingEvents = 200_000
	batch         = 1000
)

// measureMemory lets deliveries pile up whose retry is far off.
func measureMemory(ctx context.Context, r *rig) ([]result, error) {
	if err := r.subscribe(ctx, "/fail"); err != nil {
		return nil, err
	}
	body := []byte("[")
	for i := range batch {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, event(time.Now())...)
	}
	body = append(body, ']')
	// What a busy Caddy takes anyway is no matter of what is pending.
	before, err := r.emitAndFail(ctx, body, 20)
	if err != nil {
		return nil, err
	}
	after, err := r.emitAndFail(ctx, body, pendingEvents/batch)
	if err != nil {
		return nil, err
	}
	pending, err := r.redis.ZCard(ctx, "webhooks:{0}:pending:"+r.pendingRef(ctx)).Result()
	if err != nil {
		return nil, err
	}
	return []result{{
		fmt.Sprintf("memory of Caddy with %d, then %d retries pending", 20*batch, pending),
		fmt.Sprintf("%d MB, %d MB", before>>20, after>>20), "under 100 MB more",
	}}, nil
}

// emitAndFail emits, waits until every first attempt has failed, and returns the
// resident memory of Caddy.
func (r *rig) emitAndFail(ctx context.Context, body []byte, times int) (int64, error) {
	r.sink.mu.Lock()
	want := len(r.sink.received) + times*batch
	r.sink.mu.Unlock()
	for range times {
		if err := r.post(ctx, "/events", body); err != nil {
			return 0, err
		}
	}
	for {
		r.sink.mu.Lock()
		n := len(r.sink.received)
		r.sink.mu.Unlock()
		if n == want {
			break
		}
		if !pause(ctx, 100*time.Millisecond) {
			return 0, ctx.Err()
		}
	}
	return residentMemory(r.caddy.PID())
}

// pendingRef names the only webhook as its keys do.
func (r *rig) pendingRef(ctx context.Context) string {
	refs, err := r.redis.HKeys(ctx, "webhooks:{0}:state").Result()
	if err != nil || len(refs) != 1 {
		return ""
	}
	return refs[0]
}
