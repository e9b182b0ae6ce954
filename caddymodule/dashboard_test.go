package caddymodule_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestDashboard asks for the page as a browser does, and for all that it loads.
func TestDashboard(t *testing.T) {
	s := api(t, "")
	asBrowser := []string{"Authorization", asBasic("anybody", adminToken)}
	page := s.do(http.MethodGet, "/hooks/", "", asBrowser...)
	page.want(t, http.StatusOK, nil)
	paths := map[string]string{"": "text/html; charset=utf-8"}
	for _, m := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(string(page.body), -1) {
		switch path := m[1]; {
		case strings.HasSuffix(path, ".css"):
			paths[path] = "text/css; charset=utf-8"
		case strings.HasSuffix(path, ".js"):
			paths[path] = "text/javascript; charset=utf-8"
		case path != "data:,":
			t.Errorf("the page loads %s", path)
		}
	}
	if len(paths) != 3 {
		t.Errorf("the page and what it loads are %v", paths)
	}
	for path, contentType := range paths {
		path = "/hooks/" + path
		s.do(http.MethodGet, path, "").wantProblem(t, http.StatusUnauthorized)
		s.do(http.MethodGet, path, "", "Authorization", asEmitter).wantProblem(t, http.StatusForbidden)
		s.do(http.MethodPost, path, "", asBrowser...).wantProblem(t, http.StatusMethodNotAllowed)
		got := s.do(http.MethodGet, path, "", asBrowser...)
		for name, want := range map[string]string{
			"Content-Type": contentType, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", "Referrer-Policy": "no-referrer",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got.header.Get(name), want)
			}
		}
		policy := got.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: the policy is %q", path, policy)
		}
		again := s.do(http.MethodGet, path, "", append(asBrowser, "If-None-Match", got.header.Get("ETag"))...)
		if again.status != http.StatusNotModified || len(again.body) > 0 {
			t.Errorf("%s again: %d with %d bytes", path, again.status, len(again.body))
		}
	}
}
