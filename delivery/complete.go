package delivery

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

const (
	maxBatchOutcomes = 1000
	// An outcome that cannot be written is tried again until the engine is
	// closed.
	completeTime       = 5 * time.Second
	completeBackoff    = 50 * time.Millisecond
	maxCompleteBackoff = 2 * time.Second
)

// finished is a request that has ended, on its way into the log.
type finished struct {
	outcome Outcome
	retryAt time.Time     // when it is tried again, by this process's clock; zero if it is not
	slot    bool          // it was sent in one of the dispatcher's slots
	holding *sending      // if not nil, its slot is free once the outcome is written
	written chan struct{} // if not nil, closed once err says whether it is in the log
	err     error
}

func limitOutcomes(waiting []*finished) int { return min(len(waiting), maxBatchOutcomes) }

// ended has an outcome written. Unless the caller is busy, it may return only after
// that.
func (e *Engine) ended(f *finished, busy bool) {
	e.unwritten.Add(1)
	if busy {
		e.outcomes.AddAsync(f)
	} else {
		e.outcomes.Add(f)
	}
}

// complete writes a batch of outcomes, however long it takes.
func (e *Engine) complete(batch []*finished) {
	outcomes := make([]Outcome, len(batch))
	for i, f := range batch {
		outcomes[i] = f.outcome
	}
	e.dispatcher.writing()
	err := e.write(batch, outcomes)
	e.unwritten.Add(-int64(len(batch)))

	slots := 0
	for _, f := range batch {
		if f.slot {
			slots++
		}
		if f.holding != nil {
			if next := e.dispatcher.finish(f.holding, false); next != nil {
				e.start(next)
			}
		}
		if f.written != nil {
			f.err = err
			close(f.written)
		}
	}
	e.dispatcher.written(slots)
	for _, f := range batch {
		if !f.retryAt.IsZero() {
			e.dispatcher.claimIn(time.Until(f.retryAt))
		}
		e.sends.done()
	}
}

// write returns nil once the outcomes are in the log. It gives up only when the engine
// is closed: then the leases end, and the deliveries are sent again.
func (e *Engine) write(batch []*finished, outcomes []Outcome) error {
	again := backoff.Backoff{First: completeBackoff, Most: maxCompleteBackoff}
	for {
		// The store's clock may have been set since the request ended.
		now := e.store.Now()
		for i, f := range batch {
			if !f.retryAt.IsZero() {
				outcomes[i].RetryAt = now.Add(time.Until(f.retryAt))
			}
		}
		ctx, cancel := context.WithTimeout(e.alive, completeTime)
		err := e.store.Complete(ctx, outcomes)
		cancel()
		if err == nil {
			return nil
		}
		e.log().Error("cannot write the outcomes of requests; will try again", zap.Int("requests", len(outcomes)), zap.Error(err))
		if again.Wait(e.alive) != nil {
			return fmt.Errorf("%w: this process is stopping", ErrUnavailable)
		}
	}
}
