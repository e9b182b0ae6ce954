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

// fields are those that the problem names.
func (p problem) fields() string {
	var fields []string
	for _, e := range p.Errors {
		fields = append(fields, e.Field)
	}
	return strings.Join(fields, " ")
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
		{"admin_user {nonsense}", []string{"Remote-User", "bob"}, 401},
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

// TestOrder has calls to which several errors apply: the first one counts.
func TestOrder(t *testing.T) {
	s := api(t, "")
	foreign := []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}
	big := strings.Repeat("x", 2<<20)
	for _, tc := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"path", "PUT", "api/nothing", big, foreign, 404},
		{"method", "PUT", "api/webhooks", big, foreign, 405},
		{"origin", "POST", "api/webhooks", big, foreign, 403},
		{"origin of an admin", "POST", "api/webhooks", `{}`, append([]string{"Authorization", asAdmin}, foreign...), 403},
		{"nobody", "POST", "api/webhooks", big, []string{"Content-Type", "text/plain"}, 401},
		{"emitter", "POST", "api/webhooks", big, []string{"Content-Type", "text/plain", "Authorization", asEmitter}, 403},
		{"media type", "POST", "api/webhooks?x=1", big, []string{"Content-Type", "text/plain", "Authorization", asAdmin}, 415},
		{"too large", "POST", "api/webhooks?x=1", big, []string{"Authorization", asAdmin}, 413},
		{"query", "POST", "api/webhooks?x=1", `{"url":1}`, []string{"Authorization", asAdmin}, 400},
		{"not JSON", "PATCH", "api/webhooks/" + noID, `{"url":1,}`, []string{"Authorization", asAdmin}, 400},
		{"not valid", "PATCH", "api/webhooks/" + noID, `{"url":1}`, []string{"Authorization", asAdmin}, 422},
		{"not valid, malformed id", "PATCH", "api/webhooks/x", `{"url":1}`, []string{"Authorization", asAdmin}, 422},
		{"no id", "PATCH", "api/webhooks/" + noID, `{"enabled":true}`, []string{"Authorization", asAdmin}, 404},
		{"no id, empty patch", "PATCH", "api/webhooks/" + noID, `{}`, []string{"Authorization", asAdmin}, 404},
		{"malformed id", "GET", "api/webhooks/x", "", []string{"Authorization", asAdmin}, 404},
		{"malformed id of a test", "POST", "api/webhooks/x/test", "{}", []string{"Authorization", asAdmin}, 404},
		{"malformed id of a request", "GET", "api/requests/x", "", []string{"Authorization", asAdmin}, 404},
		{"malformed id of a rerun", "POST", "api/requests/x/rerun", "", []string{"Authorization", asAdmin}, 404},
		{"malformed id of an event", "GET", "api/events/x", "", []string{"Authorization", asAdmin}, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.do(tc.method, "/hooks/"+tc.path, tc.body, tc.headers...).wantProblem(t, tc.want)
		})
	}
	// Reading is not refused: other origins cannot see the answer.
	if got := s.do("GET", "/hooks/api/webhooks", "", append([]string{"Authorization", asAdmin}, foreign...)...).status; got != 200 {
		t.Errorf("got %d", got)
	}
}

func TestQuery(t *testing.T) {
	s := api(t, "")
	for query, field := range map[string]string{
		"x=1":                             "x",
		"limit=0":                         "limit",
		"limit=201":                       "limit",
		"limit=":                          "limit",
		"limit=1&limit=2":                 "limit",
		"status=ok":                       "status",
		"webhook_id=x":                    "webhook_id",
		"event_id=" + noID[1:]:            "event_id",
		"event_type=%00":                  "event_type",
		"event_type=%ff":                  "event_type",
		"since=yesterday":                 "since",
		"until=2026-03-13T18:30:00+02:00": "until", // a + is a space in a query
		"cursor=x":                        "cursor",
		"LIMIT=1":                         "LIMIT",
		"limit=%zz":                       "",
		"limit=1;status=failed":           "",
	} {
		if got := s.admin("GET", "api/requests?"+query, "").wantProblem(t, 400).fields(); got != field {
			t.Errorf("%s: fields are %q", query, got)
		}
	}
	for _, path := range []string{"api/webhooks?limit=1", "api/health?verbose=1", "api/event-types?x", "api/requests/" + noID + "?x=1"} {
		s.admin("GET", path, "").wantProblem(t, 400)
	}
	s.admin("GET", "api/requests?limit=200&status=failed&until=2026-03-13T18:30:00%2B02:00", "").want(t, 200, nil)
}

func TestMediaType(t *testing.T) {
	s := api(t, "")
	const body = `{"event_type":"group_created","data":{}}`
	for header, want := range map[string]int{
		"application/json":                   202,
		"application/json; charset=utf-8":    202,
		"Application/JSON;charset=\"UTF-8\"": 202,
		"application/json; charset=latin1":   415,
		"application/json; v=1":              415,
		"application/merge-patch+json":       415,
		"application/problem+json":           415,
		"text/plain":                         415,
		"":                                   415,
		"json":                               415,
	} {
		if got := s.do("POST", "/hooks/api/events", body, "Authorization", asEmitter, "Content-Type", header); got.status != want {
			t.Errorf("%q: %d", header, got.status)
		}
	}
	for encoding, want := range map[string]int{"identity": 202, "gzip": 415, "identity, gzip": 415} {
		if got := s.do("POST", "/hooks/api/events", body, "Authorization", asEmitter, "Content-Encoding", encoding); got.status != want {
			t.Errorf("%q: %d", encoding, got.status)
		}
	}
}

func TestEventTypeList(t *testing.T) {
	s := api(t, "")
	var list struct {
		Data []struct {
			Name        string `json:"name"`
			Description string `json:"description"`
		} `json:"data"`
	}
	s.admin("GET", "api/event-types", "").want(t, 200, &list)
	if len(list.Data) != 8 || list.Data[0].Name != "alert_active" || list.Data[7].Description == "" {
		t.Errorf("got %+v", list)
	}
}
