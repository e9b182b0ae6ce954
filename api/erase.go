package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// eraseEvent handles DELETE /api/events/{id}.
func eraseEvent(ctx context.Context, c *call) (response, error) {
	id, ok := c.id()
	if !ok {
		return response{}, missing("event")
	}
	if err := c.api.Engine.EraseEvent(ctx, c.Tenant, id, c.audit(delivery.ActionEventErased, uuid.Nil)...); err != nil {
		return response{}, notFound(err, "event")
	}
	return response{status: http.StatusNoContent}, nil
}
