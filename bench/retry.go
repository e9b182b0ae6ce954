package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	retryEvents   = 500
	pendingEvents = 200_000
	batch         = 1000
)

// measureRetry compares when retries were promised with when they arrived.
func measureRetry(ctx context.Context, r *rig) ([]result, error) {
	if err := r.subscribe(ctx, "/fail"); err != nil {
		return nil, err
	}
	for range retryEvents {
		if err := r.post(ctx, "/events", event(time.Now())); err != nil {
			return nil, err
		}
		if !pause(ctx, 10*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	if !pause(ctx, 12*time.Second) {
		return nil, ctx.Err()
	}
	var late []time.Duration
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				EventID string     `json:"event_id"`
				Attempt int        `json:"attempt"`
				Next    *time.Time `json:"next_attempt_at"`
			} `json:"data"`
			Next string `json:"next_cursor"`
		}
		if err := r.get(ctx, "/requests?limit=200"+cursor, &page); err != nil {
			return nil, err
		}
		r.sink.mu.Lock()
		for _, row := range page.Data {
			if arrived := r.sink.received[row.EventID]; row.Next != nil && row.Attempt < len(arrived) {
				late = append(late, arrived[row.Attempt].Sub(*row.Next))
			}
		}
		r.sink.mu.Unlock()
		if page.Next == "" {
			break
		}
		cursor = "&cursor=" + page.Next
	}
	late = merge(late, nil)
	return []result{{
		fmt.Sprintf("%d retries, start after due: p50, p99, max", len(late)), triple(late), "p99 within 100ms",
	}}, nil
}

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

// residentMemory of a process in bytes, from proc(5).
func residentMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("memory is measured on Linux only: %w", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}
