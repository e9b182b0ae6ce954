package caddymodule

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
)

// The page for admins is plain files: what is in the module is what is served.
//
//go:embed dashboard
var dashboardFiles embed.FS

// file is an answer that is no JSON.
type file struct {
	contentType string
	content     []byte
	etag        string
}

// dashboardPolicy lets the page load its own files and call the API, and nothing
// else; what an endpoint answered must not run even if it got to be markup.
const dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// serveFile makes a call that answers with a file of the dashboard.
func serveFile(name, contentType string) func(context.Context, *call) (answer, error) {
	content, err := dashboardFiles.ReadFile("dashboard/" + name)
	if err != nil {
		panic(err) // it is part of the program
	}
	sum := sha256.Sum256(content)
	f := &file{contentType, content, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
	return func(context.Context, *call) (answer, error) {
		return answer{status: http.StatusOK, file: f}, nil
	}
}

// write sends the file, unless the browser has it.
func (f *file) write(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-cache") // asks each time, for the tag
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("ETag", f.etag)
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return send(w, http.StatusOK, f.contentType, f.content)
}
