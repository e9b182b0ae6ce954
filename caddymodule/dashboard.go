package caddymodule

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The page for admins is plain files: what is in the module is what is served, but for
// comments.
//
//go:embed dashboard/*.html dashboard/*.css dashboard/*.js
var dashboardFiles embed.FS

const (
	dashboardFolder = "dashboard"
	dashboardPage   = "index.html"
)

// dashboardTypes are the media types of the files, by their endings.
var dashboardTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
}

// file is an answer that is no JSON.
type file struct {
	contentType string
	content     []byte
	etag        string
	page        bool // what the others are parts of
}

// dashboardPolicy lets the page load its own files and call the API, and nothing
// else; what an endpoint answered must not run even if it got to be markup.
const dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// dashboardRoutes has a route for each file. The page stands at the root, and
// names the others relative to itself.
func dashboardRoutes() []route {
	entries, err := dashboardFiles.ReadDir(dashboardFolder)
	if err != nil {
		panic(err) // it is part of the program
	}
	served := make([]route, len(entries))
	for i, entry := range entries {
		name := path.Join(dashboardFolder, entry.Name())
		f := newFile(name)
		if f.page {
			name = ""
		}
		served[i] = route{path: name, endpoints: []endpoint{
			{method: http.MethodGet, who: admin, anyTenant: true, serve: f.serve},
		}}
	}
	return served
}

// comment is a line that only readers of the source need. It is left empty, so that
// what browsers report has the source's lines.
var comment = regexp.MustCompile(`(?m)^[ \t]*//.*$`)

func newFile(name string) *file {
	content, err := dashboardFiles.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program
	}
	if path.Ext(name) == ".js" {
		content = comment.ReplaceAll(content, nil)
	}
	sum := sha256.Sum256(content)
	return &file{
		contentType: dashboardTypes[path.Ext(name)],
		content:     content,
		etag:        `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
		page:        path.Base(name) == dashboardPage,
	}
}

// serve makes a call that answers with the file.
func (f *file) serve(context.Context, *call) (answer, error) {
	return answer{status: http.StatusOK, file: f}, nil
}

// write sends the file, unless the browser has it.
func (f *file) write(w http.ResponseWriter, r *http.Request) error {
	if f.page {
		if to, ok := withSlash(r); ok {
			w.Header().Set("Location", to) // http.Redirect would not keep it relative
			w.WriteHeader(http.StatusPermanentRedirect)
			return nil
		}
	}
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

// withSlash is where the page really is, if it was asked for at its mount without
// the slash at the end: what it loads is named relative to that. It is relative
// itself, and so leads to no other host, however many slashes the path begins with.
func withSlash(r *http.Request) (to string, ok bool) {
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || strings.HasSuffix(original.URL.Path, "/") {
		return "", false
	}
	return "./" + path.Base(original.URL.EscapedPath()) + "/", true
}
