package delivery

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Test stores an example event for one webhook alone and sends it now.
//
// Errors: as Rerun's, and ErrTooManyEventTypes. The audit log is as for Rerun, and is written
// before the event.
func (e *Engine) Test(ctx context.Context, tenant string, webhookID uuid.UUID, example NewEvent, audit ...Audit) (*Request, error) {
	return e.sendNow(ctx, tenant, TriggerTest, func() (*Webhook, *Event, error) {
		if err := e.noteTypes(ctx, e.at(tenant), tenant, []NewEvent{example}); err != nil {
			return nil, nil, err
		}
		return e.acceptTest(ctx, WebhookRef{tenant, webhookID}, example, audit)
	})
}

func (e *Engine) acceptTest(ctx context.Context, ref WebhookRef, example NewEvent, audit []Audit) (*Webhook, *Event, error) {
	m := newEmission(e.store.Now(), ref.Tenant, []NewEvent{example})
	ev := &m.call.Events[0]
	ev.Targets = []Target{{Webhook: ref.ID}}
	ev.Test = true
	counted := false
	for range maxStale {
		w, version, err := e.enabledWebhook(ctx, ref)
		if err != nil {
			return nil, nil, err
		}
		if err := e.auditSending(ctx, w, audit); err != nil {
			return nil, nil, err
		}
		audit = nil // it is written once
		if !counted {
			if err := e.countStart(ctx, w); err != nil {
				return nil, nil, err
			}
			counted = true
		}
		m.call.Version = version
		a := e.active.Load()
		result := e.store.Accept(ctx, AcceptBatch{Calls: []AcceptCall{m.call}, Lease: a.lease(), Retention: a.settings.Retention})[0]
		switch {
		case result.Err == nil:
			e.countEvents(&m.call, &result)
			return w, newEvent(ref.Tenant, ev, result.At), nil
		case !errors.Is(result.Err, ErrStale):
			return nil, nil, result.Err
		}
	}
	return nil, nil, nothingWritten(ErrStale)
}
