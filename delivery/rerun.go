package delivery

import (
	"context"

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
		w, ev, err := e.store.Resend(ctx, tenant, requestID)
		switch {
		case err != nil:
		case !w.Enabled:
			err = ErrWebhookDisabled
		case ev == nil:
			err = ErrEventGone
		default:
			err = e.auditSending(ctx, w, audit)
		}
		if err == nil {
			err = e.countStart(ctx, w)
		}
		return w, ev, err
	})
}
