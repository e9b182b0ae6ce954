package api

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddy-webhooks/caddy-webhooks/api/dashboard"
)

// pageRoutes has a route for each file of the page.
func pageRoutes() []route {
	files := dashboard.Files()
	served := make([]route, len(files))
	for i, f := range files {
		served[i] = route{path: f.Path, operations: []operation{{
			method: http.MethodGet, who: Admin, anyTenant: true,
			serve: func(_ context.Context, c *call) (response, error) {
				if to, ok := withSlash(c.URL); ok && f.IsPage() {
					return response{status: http.StatusPermanentRedirect, location: to}, nil
				}
				return response{other: f.For(c.classes()...)}, nil
			},
		}}}
	}
	return served
}

// classes say on the page what its caller may not do, and whether the browser has a
// password to forget.
func (c *call) classes() (classes []string) {
	if c.Role == Viewer {
		classes = append(classes, "viewer")
	}
	if scheme, _, _ := strings.Cut(c.header.Get("Authorization"), " "); strings.EqualFold(scheme, "Basic") {
		classes = append(classes, "basic")
	}
	return classes
}

// withSlash is where the page really is, if it was asked for at its mount without
// the slash at the end: what it loads is named relative to that. It is relative
// itself, and so leads to no other host, however many slashes the path begins with.
func withSlash(asked *url.URL) (to string, ok bool) {
	if asked == nil || strings.HasSuffix(asked.Path, "/") {
		return "", false
	}
	return "./" + path.Base(asked.EscapedPath()) + "/", true
}
