package delivery

import (
	"context"
	"fmt"
	"slices"
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
	maxCompleteBackoff = time.Second
	// giveUpAfter is when an outcome is given up that alone cannot be written.
	giveUpAfter = 2 * time.Minute
)

// finished is a request that has ended, on its way into the log.
type finished struct {
	outcome Outcome
	retryAt time.Time     // when it is tried again, by this process's clock; zero if it is not
	slot    bool          // it was sent in one of the dispatcher's slots
	holding *sending      // if not nil, its slot is free once the outcome is written
	failed  time.Time     // when it could not be written for the first time, or zero
	alone   bool          // others could be written since
	written chan struct{} // if not nil, closed once err says whether it is in the log
	err     error
}

// limitOutcomes bounds a batch by its outcomes and the bytes of their bodies.
func limitOutcomes(waiting []*finished) int {
	bytes := 0
	for i, f := range waiting {
		bytes += len(f.outcome.Request.ResponseBody)
		if i == maxBatchOutcomes || i > 0 && bytes > maxBatchBytes {
			return i
		}
	}
	return len(waiting)
}

// ended has an outcome written. Unless the caller is busy, it may return only after
// that.
func (e *Engine) ended(f *finished, busy bool) {
	e.unwritten.Add(1)
	p := e.at(f.outcome.Request.Tenant)
	if busy {
		p.outcomes.AddAsync(f)
	} else {
		p.outcomes.Add(f)
	}
}

// complete writes a batch of outcomes. If none can be written, they go into the next batch
// after a while, with those that have come by then. It gives up only when the engine is
// closed: then the leases end, and the deliveries are sent again.
func (e *Engine) complete(p *partition, batch []*finished) {
	e.dispatcher.writing(p.number)
	failed := e.tryComplete(p, batch)
	if len(failed) == len(batch) && !p.canWriteWithout(batch) {
		if p.completeAgain.Wait(e.alive) != nil {
			e.written(p, batch, errStopping)
			return
		}
		for _, f := range batch {
			p.outcomes.AddAsync(f)
		}
		return
	}
	p.completeAgain.Reset()
	if len(failed) > 0 {
		batch = slices.DeleteFunc(batch, func(f *finished) bool { return slices.Contains(failed, f) })
	}
	e.countRequests(p, batch)
	e.written(p, batch, nil)
	for _, f := range failed {
		e.completeLater(p, f)
	}
}

var errStopping = fmt.Errorf("%w: this process is stopping", ErrOutcomeUnknown)

// canWriteWithout says whether other outcomes have been written since these have failed.
func (p *partition) canWriteWithout(batch []*finished) bool {
	return !slices.ContainsFunc(batch, func(f *finished) bool { return f.failed.IsZero() || !p.wrote.After(f.failed) })
}

// completeLater tries again to write an outcome that could not be written although others
// could, and gives it up in the end: its lease has ended then.
func (e *Engine) completeLater(p *partition, f *finished) {
	r := &f.outcome.Request
	fields := []zap.Field{
		zap.String("tenant", r.Tenant), zap.Stringer("webhook_id", r.WebhookID), zap.Stringer("event_id", r.EventID),
	}
	switch {
	case !f.alone:
		f.alone = true
		e.log().Error("the outcome of a request cannot be written; will try again", fields...)
	case time.Since(f.failed) > giveUpAfter:
		e.log().Error("the outcome of a request cannot be written and is given up; the request is made again", fields...)
		e.written(p, []*finished{f}, ErrOutcomeUnknown)
		return
	}
	go func() {
		if backoff.Sleep(e.alive, maxCompleteBackoff) != nil {
			e.written(p, []*finished{f}, errStopping)
			return
		}
		p.outcomes.AddAsync(f)
	}()
}

// tryComplete writes a batch of outcomes and returns those that could not be written.
func (e *Engine) tryComplete(p *partition, batch []*finished) (failed []*finished) {
	// The store's clock may have been set since the requests ended.
	now := e.store.Now()
	p.writing = p.writing[:0]
	for _, f := range batch {
		p.writing = append(p.writing, f.outcome)
		if !f.retryAt.IsZero() {
			p.writing[len(p.writing)-1].RetryAt = now.Add(time.Until(f.retryAt))
		}
	}
	defer clear(p.writing) // it is large, and kept for the next batch
	ctx, cancel := context.WithTimeout(e.alive, completeTime)
	defer cancel()
	began := time.Now()
	errs := e.store.Complete(ctx, p.writing)
	for i, err := range errs {
		if err == nil {
			continue
		}
		f := batch[i]
		if failed = append(failed, f); f.failed.IsZero() {
			f.failed = time.Now()
		}
	}
	if len(failed) < len(batch) {
		p.wrote = time.Now()
	}
	err := firstError(errs)
	if err != nil {
		e.log().Debug("cannot write outcomes of requests; will try again", zap.Int("requests", len(failed)), zap.Error(err))
	}
	if len(failed) < len(batch) || p.canWriteWithout(batch) {
		err = nil // some outcomes alone have failed, not the partition
	}
	if e.alive.Err() == nil {
		p.watch.note(completing, began, err)
	}
	return failed
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// written frees what outcomes have held until they were in the log, or given up.
func (e *Engine) written(p *partition, batch []*finished, err error) {
	e.unwritten.Add(-int64(len(batch)))
	if err == nil {
		e.noteFailures(batch)
	}
	slots := 0
	for _, f := range batch {
		if f.slot {
			slots++
		}
		if f.holding != nil {
			if next := e.dispatcher.letGo(f.holding); next != nil {
				e.start(next)
			}
		}
		if f.written != nil {
			f.err = err
			close(f.written)
		}
	}
	e.dispatcher.written(p.number, slots)
	for _, f := range batch {
		switch {
		case !f.retryAt.IsZero():
			e.dispatcher.claimIn(p.number, time.Until(f.retryAt))
		case f.outcome.Ordered: // the next may be due
			e.dispatcher.claimNext(WebhookRef{f.outcome.Request.Tenant, f.outcome.Request.WebhookID})
		}
		e.sends.done()
	}
}
