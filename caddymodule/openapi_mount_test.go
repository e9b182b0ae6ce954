package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestMountPath(t *testing.T) {
	for path, want := range map[string]string{
		"/api/openapi.json":                  "/",
		"/hooks/api/openapi.json":            "/hooks",
		"/hooks//api/openapi.json":           "/hooks/",
		"/a%2Fb/%7Bid%7D/api/openapi.json":   "/a%2Fb/%7Bid%7D",
		"/{id}/api/openapi.json":             "/%7Bid%7D", // no variable of a server
		"//evil.example/api/openapi.json":    "/evil.example",
		"///evil.example/x/api/openapi.json": "/evil.example/x",
		"/rewritten":                         "/",
		"*":                                  "/",
	} {
		original := http.Request{URL: &url.URL{Path: path}}
		if u, err := url.ParseRequestURI(path); err == nil && !strings.HasPrefix(path, "//") {
			original.URL = u
		}
		ctx := context.WithValue(t.Context(), caddyhttp.OriginalRequestCtxKey, original)
		if got := mountPath(ctx); got != want {
			t.Errorf("%s: got %s", path, got)
		}
	}
	if got := mountPath(t.Context()); got != "/" {
		t.Errorf("without an original request: got %s", got)
	}
}

// TestCallDocs has no documentation of a call that is no more; that of a call that
// is missing keeps the document from being made.
func TestCallDocs(t *testing.T) {
	calls := make(map[string]bool)
	for i := range routes {
		for _, e := range routes[i].endpoints {
			calls[e.method+" "+routes[i].path] = true
		}
	}
	ids := make(map[string]bool)
	for name, doc := range callDocs {
		if !calls[name] {
			t.Errorf("there is no %s", name)
		}
		if doc.id == "" || doc.summary == "" || doc.status == 0 || ids[doc.id] {
			t.Errorf("%s is described by %+v", name, doc)
		}
		ids[doc.id] = true
	}
}
