package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const retryEvents = 500

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
	slices.Sort(late)
	return []result{{
		fmt.Sprintf("%d retries, start after due: p50, p99, max", len(late)), triple(late), "p99 within 100ms",
	}}, nil
}
