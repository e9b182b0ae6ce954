package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// asBrowser is what Chromium accepts when somebody opens an address.
const asBrowser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

var problemStyle = regexp.MustCompile(`(?s)<style>(.*)</style>`)

// wantPage wants a problem that people read, and its sentences.
func (r reply) wantPage(t *testing.T, status int, sentences ...string) {
	t.Helper()
	if got := r.header.Get("Content-Type"); r.status != status || got != "text/html; charset=utf-8" {
		t.Fatalf("got %d with %s, want %d with HTML: %s", r.status, got, status, r.body)
	}
	for _, sentence := range sentences {
		if !strings.Contains(string(r.body), sentence) {
			t.Errorf("%q is not in %s", sentence, r.body)
		}
	}
	style := problemStyle.FindSubmatch(r.body)
	if style == nil {
		t.Fatalf("there is no style in %s", r.body)
	}
	sum := sha256.Sum256(style[1])
	policy := r.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; ") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	for header, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"} {
		if got := r.header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
}

// TestProblemPage opens the page for admins as somebody who may not see it: people get
// a page, and programs a problem.
func TestProblemPage(t *testing.T) {
	s := start(t, newConfig())
	const signIn = "Sign in with the admin token as the password, under any user name."
	got := s.do(http.MethodGet, "/hooks/", "", "Accept", asBrowser)
	got.wantPage(t, http.StatusUnauthorized, "<h2>Sign in</h2>", signIn, `<a href="">Try again</a>`)
	if offered := got.header.Values("WWW-Authenticate"); len(offered) != 2 || !strings.HasPrefix(offered[1], "Basic ") {
		t.Errorf("the browser is offered %q", offered)
	}
	got = s.do(http.MethodGet, "/hooks/", "", "Accept", asBrowser, "Authorization", asEmitter)
	got.wantPage(t, http.StatusForbidden, "an emit token may only emit events", signIn)
	got = s.do(http.MethodGet, "/hooks/?%3Cb%3E=1", "", "Accept", asBrowser, "Authorization", asAdmin)
	got.wantPage(t, http.StatusBadRequest, "&lt;b&gt;: ")
	if got := s.do(http.MethodHead, "/hooks/", "", "Accept", asBrowser); got.status != http.StatusUnauthorized || got.header.Get("Content-Type") != "text/html; charset=utf-8" || len(got.body) > 0 {
		t.Errorf("HEAD: %d with %s: %s", got.status, got.header.Get("Content-Type"), got.body)
	}
	s.admin(http.MethodGet, "", "", "Accept", asBrowser).want(t, http.StatusOK, nil)

	for accept, page := range map[string]bool{
		"":                                 false,
		"*/*":                              false,
		"text/*":                           false,
		"application/json":                 false,
		"application/problem+json":         false,
		"application/json, text/html":      true,
		"application/json, text/html;q=1":  true,
		"application/json, text/html;q=.5": false,
		"text/html;q=0":                    false,
		"text/html; q=none":                false,
		";;, TEXT/HTML;charset=utf-8":      true,
		"text/html;q=0.1, */*":             true,
	} {
		got := s.do(http.MethodGet, "/hooks/", "", "Accept", accept)
		if page {
			got.wantPage(t, http.StatusUnauthorized)
		} else {
			got.wantProblem(t, http.StatusUnauthorized)
		}
	}
	// All else is for programs.
	for _, path := range []string{"api/webhooks", "dashboard/main.js", "nothing"} {
		if got := s.do(http.MethodGet, "/hooks/"+path, "", "Accept", asBrowser); got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %s", path, got.header.Get("Content-Type"))
		}
	}
	s.do(http.MethodPost, "/hooks/", "", "Accept", asBrowser).wantProblem(t, http.StatusMethodNotAllowed)
}

// TestProblemPageUnavailable opens the page while no API can serve it.
func TestProblemPageUnavailable(t *testing.T) {
	for accept, page := range map[string]bool{asBrowser: true, "": false} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		if err := api.Unavailable(w, r, "The configuration has just changed."); err != nil {
			t.Fatal(err)
		}
		got := reply{w.Code, w.Header(), w.Body.Bytes()}
		if page {
			got.wantPage(t, http.StatusServiceUnavailable, "The configuration has just changed.", "Try again")
		} else {
			got.wantProblem(t, http.StatusServiceUnavailable)
		}
		if after := got.header.Get("Retry-After"); after != "5" {
			t.Errorf("Retry-After is %q", after)
		}
	}
}
