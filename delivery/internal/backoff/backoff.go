// Package backoff says how long to wait before what failed is tried again.
package backoff

import (
	"context"
	"time"
)

// Backoff is a wait that grows: First, then twice as long each time, Most at most.
type Backoff struct {
	First, Most time.Duration

	next time.Duration // 0 for First
}

// Next is how long to wait this time.
func (b *Backoff) Next() time.Duration {
	wait := max(b.next, b.First)
	b.next = min(2*wait, b.Most)
	return wait
}

// Reset has the next wait be First, since something succeeded.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits for as long as Next says, or until the context ends, whose error it
// returns.
func (b *Backoff) Wait(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Sleep waits for a time, or until the context ends, whose error it returns.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
