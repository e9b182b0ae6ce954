package delivery

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// How many re-runs and tests may be in flight beside the schedule.
const (
	maxManual       = 64
	maxTenantManual = 16 // of one tenant
)

// Rerun sends the payload of a request again, now, to where its webhook points
// now, and returns the new request.
//
// Errors: ErrNotFound, ErrWebhookDisabled, ErrEventGone, ErrBusy, those of the
// store, or the context's; after the last the request is made and logged all the
// same.
func (e *Engine) Rerun(ctx context.Context, tenant string, requestID uuid.UUID) (*Request, error) {
	return e.sendNow(ctx, tenant, TriggerRerun, func() (*Webhook, *Event, error) {
		r, err := e.store.Request(ctx, tenant, requestID)
		if err != nil {
			return nil, nil, err
		}
		w, _, err := e.enabled(ctx, WebhookRef{tenant, r.WebhookID})
		if err != nil {
			return nil, nil, err
		}
		ev, _, err := e.store.Event(ctx, tenant, r.EventID)
		if errors.Is(err, ErrNotFound) || err == nil && !ev.SentBy(r) {
			err = ErrEventGone
		}
		return w, ev, err
	})
}

// Test stores an example event for one webhook alone and sends it now.
//
// Errors: as Rerun's.
func (e *Engine) Test(ctx context.Context, tenant string, webhookID uuid.UUID, example NewEvent) (*Request, error) {
	return e.sendNow(ctx, tenant, TriggerTest, func() (*Webhook, *Event, error) {
		return e.acceptTest(ctx, WebhookRef{tenant, webhookID}, example)
	})
}

// enabled reads a webhook that may be sent something, and its tenant's version.
func (e *Engine) enabled(ctx context.Context, ref WebhookRef) (*Webhook, int64, error) {
	w, version, err := e.store.Webhook(ctx, ref)
	if err == nil && !w.Enabled {
		err = ErrWebhookDisabled
	}
	return w, version, err
}

func (e *Engine) acceptTest(ctx context.Context, ref WebhookRef, example NewEvent) (*Webhook, *Event, error) {
	m := newEmission(e.store.Now(), ref.Tenant, []NewEvent{example})
	ev := &m.call.Events[0]
	ev.Targets = []Target{{Webhook: ref.ID}}
	ev.Test = true
	for range maxStale {
		w, version, err := e.enabled(ctx, ref)
		if err != nil {
			return nil, nil, err
		}
		m.call.Version = version
		s := e.settings()
		result := e.store.Accept(ctx, AcceptBatch{Calls: []AcceptCall{m.call}, Lease: s.lease(), Retention: s.Retention})[0]
		switch {
		case result.Err == nil:
			return w, &Event{
				Tenant: ref.Tenant, ID: ev.ID, Type: ev.Type,
				OccurredAt: ev.OccurredAt, ReceivedAt: result.At, Payload: ev.Payload,
			}, nil
		case !errors.Is(result.Err, ErrStale):
			return nil, nil, result.Err
		}
	}
	return nil, nil, ErrStale
}

// sendNow sends what prepare returns, outside the schedule, and returns once the
// request is in the log. Its place is taken before anything is stored, and until
// the outcome is: so what waits to be written is bounded.
func (e *Engine) sendNow(ctx context.Context, tenant string, trigger Trigger, prepare func() (*Webhook, *Event, error)) (*Request, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	if !e.manual.take(tenant, 1) {
		return nil, ErrBusy
	}
	sendCtx, ok := e.sends.begin()
	if !ok {
		e.manual.give(tenant, 1)
		return nil, fmt.Errorf("%w: this process stops", ErrUnavailable)
	}
	w, ev, err := prepare()
	if err != nil {
		e.sends.end()
		e.manual.give(tenant, 1)
		return nil, err
	}
	f := &finished{written: make(chan struct{})}
	go func() { // not bound to the caller: what was sent is logged
		defer e.manual.give(tenant, 1)
		f.outcome, _ = e.send(sendCtx, e.active.Load(), w, ev, trigger, 0)
		e.ended(f, false)
		<-f.written
	}()
	select {
	case <-f.written:
		if f.err != nil {
			return nil, f.err
		}
		r := f.outcome.Request
		r.RequestBody = ev.Payload
		return &r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
