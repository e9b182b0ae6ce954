package api

import (
	"maps"
	"net/url"
	"strings"
	"testing"
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
		asked := &url.URL{Path: path}
		if u, err := url.ParseRequestURI(path); err == nil && !strings.HasPrefix(path, "//") {
			asked = u
		}
		if got := mountPath(asked); got != want {
			t.Errorf("%s: got %s", path, got)
		}
	}
	if got := mountPath(nil); got != "/" {
		t.Errorf("without a URL: got %s", got)
	}
}

// TestOperationDocs has no documentation of an operation that is no more; that of one
// that is missing keeps the document from being made.
func TestOperationDocs(t *testing.T) {
	known := make(map[string]bool)
	for i := range routes {
		for _, op := range routes[i].operations {
			known[op.method+" "+routes[i].path] = true
		}
	}
	ids := make(map[string]bool)
	docs := maps.Clone(operationDocs)
	maps.Copy(docs, replayDocs)
	for name, doc := range docs {
		if !known[name] {
			t.Errorf("there is no %s", name)
		}
		if doc.id == "" || doc.summary == "" || doc.status == 0 || ids[doc.id] {
			t.Errorf("%s is described by %+v", name, doc)
		}
		ids[doc.id] = true
	}
}
