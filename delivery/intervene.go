package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Errors of what is done to one delivery.
var (
	// ErrDeliveryEnded: the delivery is not pending.
	ErrDeliveryEnded = errors.New("the delivery has ended")
	// ErrInFlight: a request of the delivery is in flight.
	ErrInFlight = errors.New("a request of the delivery is in flight")
	// ErrInOrder: the delivery goes after others of its webhook that have not ended.
	ErrInOrder = errors.New("the delivery waits for others that go before it")
)

// canceled is the error of the request that stands for what is not sent any more.
const canceled = "an admin canceled the delivery, so this request was not sent"

// interveneTime is for how long a delivery is held while something is done to it.
const interveneTime = 30 * time.Second

// CancelDelivery ends a pending delivery: it has failed. The log has a request that was not sent,
// with an error that says so, in place of its next attempt.
//
// Errors: ErrNotFound, ErrDeliveryEnded, ErrInFlight, or those of the store. An entry of the audit
// log, if one is wanted, is written before anything is changed.
func (e *Engine) CancelDelivery(ctx context.Context, ref WebhookRef, event uuid.UUID, audit ...Audit) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	if _, ok := e.sends.add(); !ok { // until the outcome is written
		return fmt.Errorf("%w: this process is stopping", ErrUnavailable)
	}
	job, err := e.take(ctx, ref, event, audit, true)
	if err != nil {
		e.sends.done()
		return err
	}
	s := e.settings()
	f := &finished{written: make(chan struct{}), outcome: newOutcome(s, job.Webhook, job.Event, job.trigger(), job.Attempt, e.store.Now())}
	f.outcome.LeaseEnd, f.outcome.Ordered = job.LeaseEnd, job.Ordered
	r := &f.outcome.Request
	r.Error, r.MaxAttempts = canceled, max(job.Attempt, r.MaxAttempts)
	r.transformed(nil)
	e.failedForGood(r, e.log())
	e.ended(f, true)
	select {
	case <-f.written:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SendDelivery has a pending delivery attempted now, in place of when its next attempt is due.
//
// Errors: ErrNotFound, ErrWebhookDisabled, ErrDeliveryEnded, ErrInFlight, ErrInOrder, or those of the store. An
// entry of the audit log, if one is wanted, is written before anything is changed.
func (e *Engine) SendDelivery(ctx context.Context, ref WebhookRef, event uuid.UUID, audit ...Audit) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	if _, _, err := e.enabledWebhook(ctx, ref); err != nil {
		return err
	}
	job, err := e.take(ctx, ref, event, audit, false)
	if err != nil {
		return err
	}
	if err := e.store.Release(ctx, []Lease{job.lease()}); err != nil {
		return err
	}
	e.dispatcher.lock()
	e.dispatcher.claimFor(ref)
	e.dispatcher.unlock()
	return nil
}

// take holds a delivery, which may be one that waits for others only if outOfTurn, and writes that
// something is done to it.
func (e *Engine) take(ctx context.Context, ref WebhookRef, event uuid.UUID, audit []Audit, outOfTurn bool) (Job, error) {
	if err := e.ready(ctx); err != nil {
		return Job{}, err
	}
	if err := e.at(ref.Tenant).watch.refusal(completing); err != nil {
		return Job{}, err
	}
	job, err := e.store.Take(ctx, ref, event, interveneTime)
	if err != nil {
		return Job{}, err
	}
	if job.Waits && !outOfTurn {
		err = ErrInOrder
	} else {
		err = e.auditSending(ctx, job.Webhook, audit)
	}
	if err != nil {
		_ = e.store.Release(ctx, []Lease{job.lease()}) // otherwise the lease ends by itself
		return Job{}, err
	}
	return job, nil
}
