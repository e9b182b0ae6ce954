package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// cancelDelivery handles DELETE /api/events/{id}/deliveries/{webhook_id}.
func cancelDelivery(ctx context.Context, c *call) (response, error) {
	return intervene(ctx, c, delivery.ActionDeliveryCanceled, c.api.Engine.CancelDelivery)
}

// sendDelivery handles POST /api/events/{id}/deliveries/{webhook_id}/send.
func sendDelivery(ctx context.Context, c *call) (response, error) {
	if err := decode(c.body, new(rerunInput)); err != nil {
		return response{}, err
	}
	return intervene(ctx, c, delivery.ActionDeliverySent, c.api.Engine.SendDelivery)
}

// intervene does something to the delivery that the path names.
func intervene(ctx context.Context, c *call, action delivery.Action, do func(context.Context, delivery.WebhookRef, uuid.UUID, ...delivery.Audit) error) (response, error) {
	event, known := parseID(c.ids[0])
	webhook, ok := parseID(c.ids[1])
	if !known || !ok {
		return response{}, errNoDelivery
	}
	audit := c.audit(action, uuid.Nil)
	for i, entry := range audit {
		audit[i] = func(before, after *delivery.Webhook) *delivery.AuditEntry {
			made := entry(before, after)
			made.EventID = event
			return made
		}
	}
	err := do(ctx, delivery.WebhookRef{Tenant: c.Tenant, ID: webhook}, event, audit...)
	if errors.Is(err, delivery.ErrNotFound) {
		err = errNoDelivery
	}
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusNoContent}, nil
}

// errNoDelivery is for a delivery that does not exist.
var errNoDelivery = &problem{Status: http.StatusNotFound, Detail: "There is no delivery of an event with this id to a webhook with that id."}
