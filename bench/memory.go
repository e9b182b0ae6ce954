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
	body := array(batch)
	// What a busy Caddy takes anyway is no matter of what is pending.
	before, err := r.emitAndFail(ctx, body, 20)
	if err != nil {
		return nil, err
	}
	after, err := r.emitAndFail(ctx, body, pendingEvents/batch)
	if err != nil {
		return nil, err
	}
	return []result{{
		fmt.Sprintf("memory of Caddy with %d, then %d retries pending", 20*batch, 20*batch+pendingEvents),
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

// array is the body of a call that emits n events.
func array(n int) []byte {
	body := []byte("[")
	for i := range n {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, event(time.Now())...)
	}
	return append(body, ']')
}
