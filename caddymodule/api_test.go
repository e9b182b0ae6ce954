package caddymodule_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

// wantProblem fails the test unless the reply is a problem of the status.
func (r reply) wantProblem(t *testing.T, status int) problem {
	t.Helper()
	var p problem
	r.want(t, status, &p)
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status || !strings.HasSuffix(p.Detail, ".") || p.Errors == nil {
		t.Errorf("got %+v", p)
	}
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
	r.wantHeaders(t)
	return p
}

func (r reply) wantHeaders(t *testing.T) {
	t.Helper()
	if r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers are %v", r.header)
	}
}

const (
	asAdmin   = "Bearer " + adminToken
	asEmitter = "Bearer " + emitToken
	noID      = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b" // nobody's
)

// api starts a site with a store of its own.
func api(t *testing.T, handler string) *caddySite {
	t.Helper()
	s := startSite(t, siteConfig{webhooks: "store redis redis://" + redistest.Start(t).Addr + "\nmax_event_size 1KiB", handler: handler})
	s.ready()
	return s
}

func TestAccess(t *testing.T) {
	s := api(t, "")
	const body = `{"event_type":"group_created","data":{}}`
	for _, tc := range []struct {
		method, path, body, auth string
		want                     int
	}{
		{"POST", "api/events", body, "", 401},
		{"POST", "api/events", body, "Bearer wrong", 401},
		{"POST", "api/events", body, asEmitter, 202},
		{"POST", "api/events", body, asAdmin, 202},
		{"GET", "api/event-types", "", "", 401},
		{"GET", "api/event-types", "", asEmitter, 200},
		{"GET", "api/events/" + noID, "", asEmitter, 403},
		{"GET", "api/events/" + noID, "", asAdmin, 404},
		{"GET", "api/webhooks", "", "", 401},
		{"GET", "api/webhooks", "", asEmitter, 403},
		{"HEAD", "api/webhooks", "", asEmitter, 403},
		{"GET", "api/webhooks", "", asAdmin, 200},
		{"HEAD", "api/webhooks", "", asAdmin, 200},
		{"POST", "api/webhooks", `{}`, asEmitter, 403},
		{"GET", "api/webhooks/" + noID, "", asEmitter, 403},
		{"PATCH", "api/webhooks/" + noID, `{}`, asEmitter, 403},
		{"DELETE", "api/webhooks/" + noID, "", asEmitter, 403},
		{"POST", "api/webhooks/" + noID + "/test", `{}`, asEmitter, 403},
		{"GET", "api/requests", "", asEmitter, 403},
		{"GET", "api/requests/" + noID, "", asEmitter, 403},
		{"POST", "api/requests/" + noID + "/rerun", "", asEmitter, 403},
		{"GET", "api/health", "", "", 200},
		{"GET", "api/health", "", "Bearer wrong", 200},
		{"GET", "api/nothing", "", "", 404},
		{"PUT", "api/webhooks", "", "", 405},
	} {
		t.Run(fmt.Sprintf("%s %s %s", tc.method, tc.path, tc.auth), func(t *testing.T) {
			var headers []string
			if tc.auth != "" {
				headers = []string{"Authorization", tc.auth}
			}
			got := s.do(tc.method, "/hooks/"+tc.path, tc.body, headers...)
			got.wantHeaders(t)
			if got.status != tc.want {
				t.Errorf("got %d: %s", got.status, got.body)
			}
			if offers := got.header.Values("WWW-Authenticate"); (len(offers) == 2) != (tc.want == 401) {
				t.Errorf("WWW-Authenticate is %q", offers)
			}
			if tc.want == 405 && got.header.Get("Allow") != "GET, HEAD, POST" {
				t.Errorf("Allow is %q", got.header.Get("Allow"))
			}
			if tc.want >= 400 && tc.method != "HEAD" {
				got.wantProblem(t, tc.want)
			}
		})
	}
}

func TestAccessConfigured(t *testing.T) {
	addr := redistest.Start(t).Addr
	s := startSite(t, siteConfig{webhooks: "store redis redis://" + addr, handler: "tenant default"})
	s.ready()
	get := func(headers ...string) int {
		t.Helper()
		return s.do(http.MethodGet, "/hooks/api/webhooks", "", headers...).status
	}
	if got := get("Authorization", "Bearer "); got != 401 {
		t.Errorf("nothing configured: %d", got)
	}
	for _, tc := range []struct {
		handler string
		headers []string
		want    int
	}{
		{"insecure_no_auth", nil, 200},
		{"admin_user {header.Remote-User}", nil, 401},
		{"admin_user {header.Remote-User}", []string{"Remote-User", "bob"}, 200},
		{"admin_user {http.auth.user.nonsense}", []string{"Remote-User", "bob"}, 401},
		{"insecure_no_auth\ntenant {header.X-Tenant}", nil, 400},
		{"insecure_no_auth\ntenant {header.X-Tenant}", []string{"X-Tenant", "a b"}, 400},
		{"insecure_no_auth\ntenant {header.X-Tenant}", []string{"X-Tenant", strings.Repeat("a", 129)}, 400},
		{"insecure_no_auth\ntenant {header.X-Tenant}", []string{"X-Tenant", "acme"}, 200},
		{"tenant {header.X-Tenant}", nil, 401},
	} {
		c := siteConfig{webhooks: "store redis redis://" + addr, handler: tc.handler}
		s.addr = freeAddr(t) // at the old one, the old configuration answers for a moment more
		if err := s.load(c); err != nil {
			t.Fatal(err)
		}
		if got := get(tc.headers...); got != tc.want {
			t.Errorf("%s with %q: %d", tc.handler, tc.headers, got)
		}
	}
}

func TestTenants(t *testing.T) {
	s := api(t, "insecure_no_auth\ntenant {header.X-Tenant}")
	var hook webhook
	s.do("POST", "/hooks/api/webhooks", `{"url":"https://example.com/"}`, "X-Tenant", "a").want(t, 201, &hook)
	for tenant, want := range map[string]int{"a": 200, "b": 404} {
		if got := s.do("GET", "/hooks/api/webhooks/"+hook.ID, "", "X-Tenant", tenant).status; got != want {
			t.Errorf("tenant %s: %d", tenant, got)
		}
	}
	s.do("DELETE", "/hooks/api/webhooks/"+hook.ID, "", "X-Tenant", "b").wantProblem(t, 404)
	if got := s.do("GET", "/hooks/api/webhooks", "", "X-Tenant", "b").body; string(got) != `{"data":[]}`+"\n" {
		t.Errorf("got %s", got)
	}
}
