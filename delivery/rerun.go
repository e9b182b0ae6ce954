package delivery

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Rerun sends the payload of a request again, now, to where its webhook points
// now, and returns the new request.
//
// Errors: ErrNotFound, ErrWebhookDisabled, ErrEventGone, ErrBusy, those of the
// store, or the context's; after the last the request is made and logged all the
// same. An entry of the audit log, if one is wanted, is written before anything is sent.
func (e *Engine) Rerun(ctx context.Context, tenant string, requestID uuid.UUID, audit ...Audit) (*Request, error) {
	return e.sendNow(ctx, tenant, TriggerRerun, func() (*Webhook, *Event, error) {
		r, err := e.store.Request(ctx, tenant, requestID)
		if err != nil {
			return nil, nil, err
		}
		w, _, err := e.enabledWebhook(ctx, WebhookRef{tenant, r.WebhookID})
		if err != nil {
			return nil, nil, err
		}
		ev, _, err := e.store.Event(ctx, tenant, r.EventID)
		if errors.Is(err, ErrNotFound) || err == nil && !ev.SentBy(r) {
			err = ErrEventGone
		}
		if err == nil {
			err = e.auditSending(ctx, w, audit)
		}
		return w, ev, err
	})
}
