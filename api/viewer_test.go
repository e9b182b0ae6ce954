package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// TestViewer makes every call as somebody who may only read: what reads is answered as it is
// to an admin, and what changes something is refused, whatever else is wrong with it.
func TestViewer(t *testing.T) {
	s := start(t, newConfig())
	operations, err := openapitest.Operations()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range operations {
		method, path, _ := strings.Cut(name, " ")
		path = "/hooks/" + strings.ReplaceAll(path, "*", noID)
		got := s.do(method, path, "", "Authorization", asViewer)
		if method != http.MethodGet {
			got.wantProblem(t, http.StatusForbidden)
			if detail := string(got.body); !strings.Contains(detail, "a viewer token may only read") {
				t.Errorf("%s: %s", name, detail)
			}
			continue
		}
		if admin := s.do(method, path, "", "Authorization", asAdmin); got.status != admin.status || got.status == http.StatusForbidden {
			t.Errorf("%s: %d, but %d to an admin", name, got.status, admin.status)
		}
		if head := s.do(http.MethodHead, path, "", "Authorization", asViewer); head.status != got.status {
			t.Errorf("%s: %d to HEAD, but %d", name, head.status, got.status)
		}
	}
}

// TestPageOfViewer asks for the page as an admin and as somebody who may only read. The
// browser must not take the one for the other.
func TestPageOfViewer(t *testing.T) {
	s := start(t, newConfig())
	tags := make(map[string]string)
	for role, body := range map[string]string{asAdmin: "<body>", asViewer: `<body class="viewer">`, asPassword: `<body class="basic">`} {
		got := s.do(http.MethodGet, "/hooks/", "", "Authorization", role)
		got.want(t, http.StatusOK, nil)
		if !strings.Contains(string(got.body), body) {
			t.Errorf("%s is not in the page for %s", body, role)
		}
		tags[got.header.Get("ETag")] = role
	}
	if len(tags) != 3 {
		t.Errorf("the tags are %q", tags)
	}
	for tag, of := range tags {
		for _, role := range []string{asAdmin, asViewer, asPassword} {
			got := s.do(http.MethodGet, "/hooks/", "", "Authorization", role, "If-None-Match", tag)
			if (got.status == http.StatusNotModified) != (role == of) {
				t.Errorf("the tag for %s gives %s %d", of, role, got.status)
			}
		}
	}
}
