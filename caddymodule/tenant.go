package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

var errTenant = errors.New("tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-'")

// newTenant checks a tenant that is the same for all requests.
func (h *Handler) newTenant(repl *caddy.Replacer) (string, error) {
	if h.Tenant == "" {
		return api.DefaultTenant, nil
	}
	tenant, err := resolve(repl, h.Tenant)
	if err != nil {
		return "", fmt.Errorf("tenant %w", err)
	}
	if !hasPlaceholder(tenant) && !api.ValidTenant(tenant) {
		return "", errTenant
	}
	return tenant, nil
}

// requestTenant is whose data a request is about; it may be no valid tenant.
func (h *Handler) requestTenant(r *http.Request) string {
	if !hasPlaceholder(h.tenant) {
		return h.tenant
	}
	return replacer(r).ReplaceAll(h.tenant, "")
}
