package api

import (
	"net/http"
)

// DefaultTenant is the tenant when there is only one.
const DefaultTenant = "default"

// maxTenantLength is how many characters the name of a tenant may have.
const maxTenantLength = 128

// ValidTenant says whether a tenant may have the name. Every call asks it, so that it is
// no regular expression.
func ValidTenant(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return name != "" && len(name) <= maxTenantLength
}

// checkTenant refuses a call that is about no tenant.
func checkTenant(name string) error {
	switch {
	case name == "":
		return &problem{Status: http.StatusBadRequest, Detail: "The request does not name a tenant: what it is taken from, such as a header, is missing or empty."}
	case !ValidTenant(name):
		return &problem{Status: http.StatusBadRequest, Detail: "The name of a tenant must have 1 to 128 of the characters A-Z, a-z, 0-9, '.', '_' and '-'."}
	}
	return nil
}
