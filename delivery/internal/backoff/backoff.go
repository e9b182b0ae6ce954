// Package backoff computes how long to wait before something that failed is tried again.
package backoff

import (
	"context"
	"time"
)

// Backoff is a wait that grows: it is First, then twice as long each time, but never longer
// than Most.
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

// Reset makes the next wait First again. It is called after a success.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits for Next. If the context ends first, Wait returns the context's error.
func (b *Backoff) Wait(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Sleep waits for a time. If the context ends first, Sleep returns the context's error.
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
