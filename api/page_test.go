package api_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Bounds of the page and all that it loads, in bytes.
const (
	maxPage           = 100_000
	maxPageCompressed = 35_000
)

var (
	loadedByPage   = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	loadedByModule = regexp.MustCompile(`(?m)^import .*from "\./([^"]*)";$`)
)

// TestDashboard asks for the page as a browser does, and for all that it loads.
func TestDashboard(t *testing.T) {
	s := start(t, newConfig())
	asBrowser := []string{"Authorization", asAdmin}
	page := s.do(http.MethodGet, "/hooks/", "", asBrowser...)
	page.want(t, http.StatusOK, nil)
	paths := map[string]string{"": "text/html; charset=utf-8"}
	for _, m := range loadedByPage.FindAllStringSubmatch(string(page.body), -1) {
		switch name := m[1]; {
		case strings.HasSuffix(name, ".css"):
			paths[name] = "text/css; charset=utf-8"
		case strings.HasSuffix(name, ".js"):
			paths[name] = "text/javascript; charset=utf-8"
		case name != "data:,":
			t.Errorf("the page loads %s", name)
		}
	}
	size, compressed := 0, 0
	for name, contentType := range paths {
		at := "/hooks/" + name
		s.do(http.MethodGet, at, "").wantProblem(t, http.StatusUnauthorized)
		s.do(http.MethodGet, at, "", "Authorization", asEmitter).wantProblem(t, http.StatusForbidden)
		s.do(http.MethodPost, at, "", asBrowser...).wantProblem(t, http.StatusMethodNotAllowed)
		got := s.do(http.MethodGet, at, "", asBrowser...)
		got.want(t, http.StatusOK, nil)
		for header, want := range map[string]string{
			"Content-Type": contentType, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "Referrer-Policy": "no-referrer",
		} {
			if got.header.Get(header) != want {
				t.Errorf("%s: %s is %q, want %q", at, header, got.header.Get(header), want)
			}
		}
		policy := got.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", at, policy)
		}
		again := s.do(http.MethodGet, at, "", append(asBrowser, "If-None-Match", got.header.Get("ETag"))...)
		if again.status != http.StatusNotModified || len(again.body) > 0 {
			t.Errorf("%s again: %d with %d bytes", at, again.status, len(again.body))
		}
		if strings.HasSuffix(name, ".js") {
			wantComments(t, name, got.body)
		}
		// The page names each module, so that none waits for another.
		for _, m := range loadedByModule.FindAllStringSubmatch(string(got.body), -1) {
			if needed := path.Join(path.Dir(name), m[1]); paths[needed] == "" {
				t.Errorf("%s needs %s, which the page does not name", name, needed)
			}
		}
		size += len(got.body)
		compressed += compressedSize(t, got.body)
	}
	if size > maxPage || compressed > maxPageCompressed {
		t.Errorf("the page has %d bytes, %d compressed", size, compressed)
	}
}

// wantComments wants a module as it is in its source but for comments, and no part of a
// text that only looks like one.
func wantComments(t *testing.T, name string, served []byte) {
	t.Helper()
	source, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	code := strings.Split(string(served), "\n")
	for i, line := range strings.Split(string(source), "\n") {
		comment, found := strings.CutPrefix(line, code[i])
		before := strings.Join(code[:i+1], "\n")
		inText := strings.Count(before, "`")%2 != 0 || strings.Count(code[i], `"`)%2 != 0
		if !found || comment != "" && (inText || !strings.HasPrefix(strings.TrimSpace(comment), "// ")) {
			t.Errorf("%s:%d is served as %q", name, i+1, code[i])
		}
	}
}

// compressedSize is what a server with compression sends.
func compressedSize(t *testing.T, content []byte) int {
	t.Helper()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed.Len()
}
