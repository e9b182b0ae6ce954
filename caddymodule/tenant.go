package caddymodule

import (
	"errors"
	"net/http"
	"regexp"
)

const defaultTenant = "default"

var (
	tenantPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	errTenant     = errors.New("tenant must have 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-'")
)

func validTenant(tenant string) bool { return tenantPattern.MatchString(tenant) }

// requestTenant is whose data a request is about.
func (h *Handler) requestTenant(r *http.Request) (string, error) {
	if !hasPlaceholder(h.tenant) {
		return h.tenant, nil
	}
	tenant := replacer(r).ReplaceAll(h.tenant, "")
	switch {
	case tenant == "":
		return "", &problem{Status: http.StatusBadRequest, Detail: "The request does not say which tenant it is about."}
	case !validTenant(tenant):
		return "", &problem{Status: http.StatusBadRequest, Detail: "The name of the tenant must have 1 to 128 of A-Z, a-z, 0-9, '.', '_' and '-'."}
	}
	return tenant, nil
}
