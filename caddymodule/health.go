package caddymodule

import (
	"context"
	"net/http"
)

type health struct {
	Status string `json:"status"`
}

// getHealth answers GET /api/health. Why the engine is not well is for admins:
// it may name the store.
func getHealth(ctx context.Context, c *call) (answer, error) {
	err := c.app.engine.Health(ctx)
	switch {
	case err == nil:
		return answer{status: http.StatusOK, body: health{"ok"}}, nil
	case c.role == admin:
		return answer{}, unavailable(sentence(err))
	default:
		return answer{}, unavailable("Events cannot be taken now. Admins see why.")
	}
}
