package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

var errTenant = errors.New("tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-'")

// newTenant checks a tenant that is the same for all requests.
func (h *Handler) newTenant(repl *caddy.Replacer) (requestText, error) {
	if h.Tenant == "" {
		return newRequestText(api.DefaultTenant), nil
	}
	tenant, err := resolve(repl, h.Tenant)
	if err != nil {
		return requestText{}, fmt.Errorf("tenant %w", err)
	}
	if !hasPlaceholder(tenant) && !api.ValidTenant(tenant) {
		return requestText{}, errTenant
	}
	return newRequestText(tenant), nil
}
