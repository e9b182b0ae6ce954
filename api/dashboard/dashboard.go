// Package dashboard is the page for admins: plain files, which are served as they are
// but for comments.
package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"strings"
)

//go:embed index.html *.css *.js
var sources embed.FS

const page = "index.html"

// mediaTypes are those of the files, by their endings.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
}

// policy lets the page load its own files and call the API, and nothing else; what an
// endpoint answered must not run even if it got to be markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// File is one file of the page.
type File struct {
	// Path is relative to the page, which names the other files so.
	Path string

	mediaType string
	content   []byte
	etag      string
}

// Files are the page and all that it loads.
func Files() []*File {
	entries, err := sources.ReadDir(".")
	if err != nil {
		panic(err) // it is part of the program
	}
	files := make([]*File, len(entries))
	for i, entry := range entries {
		files[i] = newFile(entry.Name())
	}
	return files
}

// comment is what only readers of the source need. Its line stays, so that what browsers
// report has the source's lines.
var comment = regexp.MustCompile(`(?m)(^[ \t]*|[ \t]+)// .*$`)

func newFile(name string) *File {
	content, err := sources.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program
	}
	if path.Ext(name) == ".js" {
		content = comment.ReplaceAll(content, nil)
	}
	sum := sha256.Sum256(content)
	f := &File{
		Path:      "dashboard/" + name,
		mediaType: mediaTypes[path.Ext(name)],
		content:   content,
		etag:      `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
	if name == page {
		f.Path = ""
	}
	return f
}

// IsPage says whether the file is the page itself, of which the others are parts.
func (f *File) IsPage() bool { return f.Path == "" }

// For is the file as somebody gets it for whom the page has classes, and for whom it looks
// otherwise. Other files are the same for everyone.
func (f *File) For(classes ...string) *File {
	if !f.IsPage() || len(classes) == 0 {
		return f
	}
	theirs := *f
	theirs.content = bytes.Replace(f.content, []byte("<body>"), []byte(`<body class="`+strings.Join(classes, " ")+`">`), 1)
	theirs.etag = strings.TrimSuffix(f.etag, `"`) + "-" + strings.Join(classes, "-") + `"`
	return &theirs
}

// ServeHTTP sends the file, unless the browser has it.
func (f *File) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache") // asks each time, for the tag
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("ETag", f.etag)
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(f.content)))
	w.WriteHeader(http.StatusOK)
	_, _ = bytes.NewReader(f.content).WriteTo(w) // whoever does not read it is gone
}
