package api

import (
	"net/http"
	"regexp"
)

// DefaultTenant is the tenant when there is only one.
const DefaultTenant = "default"

var tenantPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// ValidTenant says whether a tenant may have the name.
func ValidTenant(name string) bool { return tenantPattern.MatchString(name) }

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
