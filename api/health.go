package api

import (
	"context"
	"net/http"
)

type health struct {
	Status string `json:"status"`
}

// getHealth handles GET /api/health. Why the engine is not well is for admins and viewers:
// it may name the store.
func getHealth(ctx context.Context, c *call) (response, error) {
	err := c.api.Engine.Health(ctx)
	switch {
	case err == nil:
		return response{status: http.StatusOK, body: health{"ok"}}, nil
	case c.Role >= Viewer:
		return response{}, unavailable(sentence(err))
	default:
		return response{}, unavailable("Something does not work now. Admins are told what.")
	}
}
