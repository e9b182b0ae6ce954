package api

import (
	"cmp"
	"context"
	"net/http"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

type health struct {
	Status     string            `json:"status"`
	Encryption *encryptionHealth `json:"encryption,omitzero"` // for admins and viewers, if there is a key
}

// encryptionHealth is how far the store is with encrypting what it has stored before.
type encryptionHealth struct {
	KeyID           string `json:"key_id"`
	Done            bool   `json:"done"`
	WebhooksChecked int64  `json:"webhooks_checked"`
}

// getHealth handles GET /api/health. Why the engine is not well is for admins and viewers.
// They may be those of one tenant of many: where the store is, is for Caddy's log.
func getHealth(ctx context.Context, c *call) (response, error) {
	err := c.api.Engine.Health(ctx)
	if err == nil && c.api.OtherHealth != nil {
		err = c.api.OtherHealth()
	}
	switch {
	case err == nil:
		return response{status: http.StatusOK, body: health{"ok", encryptionOf(c)}}, nil
	case c.Role >= Viewer:
		reasons := cmp.Or(delivery.Reasons(err), "the store does not work")
		return response{}, unavailable(sentence(delivery.Reason(reasons)) + " Caddy's log says more.")
	default:
		return response{}, unavailable("Something does not work now. Admins are told what.")
	}
}

func encryptionOf(c *call) *encryptionHealth {
	e := c.api.Engine.Encryption()
	if c.Role < Viewer || e.KeyID == "" {
		return nil
	}
	return &encryptionHealth{e.KeyID, e.Done, e.Checked}
}
