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
// same.
func (e *Engine) Rerun(ctx context.Context, tenant string, requestID uuid.UUID) (*Request, error) {
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
		return w, ev, err
	})
}
