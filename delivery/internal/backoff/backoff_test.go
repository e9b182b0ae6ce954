package backoff_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

// TestBackoff waits twice as long each time, up to Most, and starts over after a success.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := backoff.Backoff{First: 50 * time.Millisecond, Most: 300 * time.Millisecond}
		for range 2 {
			for _, ms := range []int{50, 100, 200, 300, 300} {
				want, began := time.Duration(ms)*time.Millisecond, time.Now()
				if err := b.Wait(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(began); got != want {
					t.Errorf("waited for %v, want %v", got, want)
				}
			}
			b.Reset()
		}
	})
}

// TestBackoffEnds waits no longer than the context lasts.
func TestBackoffEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		b := backoff.Backoff{First: time.Minute, Most: time.Minute}
		if err := b.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the wait ended with %v", err)
		}
		if got := time.Since(began); got != time.Second {
			t.Errorf("waited for %v, though the context lasted for a second", got)
		}
	})
}
