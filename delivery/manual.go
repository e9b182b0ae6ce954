package delivery

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// maxManual is how many re-runs and tests may be in flight beside the schedule.
const maxManual = 64

// Rerun sends the payload of a request again, now, to where its webhook points
// now, and returns the new request.
//
// Errors: ErrNotFound, ErrWebhookDisabled, ErrEventGone, ErrBusy, those of the
// store, or the context's; after the last the request is made and logged all the
// same.
func (e *Engine) Rerun(ctx context.Context, tenant string, requestID uuid.UUID) (*Request, error) {
	if err := e.ready(); err != nil {
		return nil, err
	}
	r, err := e.store.Request(ctx, tenant, requestID)
	if err != nil {
		return nil, err
	}
	w, _, err := e.store.Webhook(ctx, WebhookRef{tenant, r.WebhookID})
	if err != nil {
		return nil, err
	}
	if !w.Enabled {
		return nil, ErrWebhookDisabled
	}
	ev, _, err := e.store.Event(ctx, tenant, r.EventID)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrEventGone
	}
	if err != nil {
		return nil, err
	}
	return e.sendNow(ctx, w, ev, TriggerRerun)
}

// Test stores an example event for one webhook alone and sends it now.
//
// Errors: as Rerun's.
func (e *Engine) Test(ctx context.Context, tenant string, webhookID uuid.UUID, example NewEvent) (*Request, error) {
	if err := e.ready(); err != nil {
		return nil, err
	}
	m := newEmission(e.store.Now(), tenant, []NewEvent{example})
	m.call.Events[0].Targets = []Target{{Webhook: webhookID}}
	m.call.Events[0].Test = true
	for range maxStale {
		w, version, err := e.store.Webhook(ctx, WebhookRef{tenant, webhookID})
		if err != nil {
			return nil, err
		}
		if !w.Enabled {
			return nil, ErrWebhookDisabled
		}
		m.call.Version = version
		result := e.store.Accept(ctx, AcceptBatch{Calls: []AcceptCall{m.call}, Lease: e.lease(), Retention: e.settings().Retention})[0]
		if errors.Is(result.Err, ErrStale) {
			continue
		}
		if result.Err != nil {
			return nil, result.Err
		}
		ev := &m.call.Events[0]
		return e.sendNow(ctx, w, &Event{
			Tenant: tenant, ID: ev.ID, Type: ev.Type,
			OccurredAt: ev.OccurredAt, ReceivedAt: result.At, Payload: ev.Payload,
		}, TriggerTest)
	}
	return nil, ErrStale
}

// sendNow sends outside the schedule and returns once the request is in the log.
func (e *Engine) sendNow(ctx context.Context, w *Webhook, ev *Event, trigger Trigger) (*Request, error) {
	select {
	case e.manual <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	sendCtx, ok := e.sends.begin()
	if !ok {
		<-e.manual
		return nil, fmt.Errorf("%w: this process stops", ErrUnavailable)
	}
	f := &finished{written: make(chan struct{})}
	interrupted := make(chan struct{})
	go func() { // not bound to the caller: what was sent is logged
		defer func() { <-e.manual }()
		outcome, broken := e.send(sendCtx, e.active.Load(), w, ev, trigger, 0)
		if broken {
			close(interrupted)
			e.sends.end()
			return
		}
		f.outcome = outcome
		e.outcomes.add(f)
	}()
	select {
	case <-f.written:
		if f.err != nil {
			return nil, f.err
		}
		r := f.outcome.Request
		r.RequestBody = ev.Payload
		return &r, nil
	case <-interrupted:
		return nil, fmt.Errorf("%w: this process stops", ErrUnavailable)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
