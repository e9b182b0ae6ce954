package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

const (
	mountedEvent = `{"event_type":"group_created","data":{}}`
	// The password is "password".
	mountedUsers = "basic_auth bcrypt {\n\tbob $2a$04$c9HM04/Z1vk1HGRstTV0ne2Ch4EIyFVYKEWrroU0JRXqsMI7eDMsu\n}\n"
)

// otherMounts mount the API in other ways than the harness does.
const otherMounts = `
	handle /route/* {
		route {
			uri strip_prefix /route
			webhooks {
				insecure_no_auth
			}
		}
	}
	handle_path /small/* {
		request_body {
			max_size 16
		}
		webhooks {
			insecure_no_auth
		}
	}
	handle_path /users/* {
		` + mountedUsers + `
		webhooks
	}
	handle /api/* {
		webhooks {
			insecure_no_auth
		}
	}
	handle {
		webhooks /direct/* {
			insecure_no_auth
		}
	}`

// prefixHints are paths that are not found, and what the answer suggests for them.
var prefixHints = map[string]string{
	"/direct/api/events":          "handle_path /direct/*",
	"/direct/api/webhooks/1/test": "handle_path /direct/*",
	"/direct/deeper/api/events":   "handle_path /direct/deeper/*",
	"/direct/":                    "handle_path /direct/*",
	"/direct/dashboard/main.js":   "handle_path /direct/*",
	"/direct/nothing":             "",
	"/direct/api":                 "",
	"/direct/api/nothing":         "",
	"/direct/" + strings.Repeat("x", 200) + "/api/events": "",
	"/route/nothing":  "",
	"/route/nothing/": "",
	"/api/nothing":    "",
}

// TestMounts serves the API in other places than under handle_path.
func TestMounts(t *testing.T) {
	s := startSite(t, siteConfig{webhooks: "store redis redis://" + redistest.Start(t).Addr, more: otherMounts})
	s.ready()
	for _, tc := range []struct {
		method, path, body, auth string
		want                     int
	}{
		{http.MethodPost, "/api/events", mountedEvent, "", 202},
		{http.MethodGet, "/api/nothing", "", "", 404},
		{http.MethodPost, "/route/api/events", mountedEvent, "", 202},
		{http.MethodGet, "/route/nothing", "", "", 404},
		{http.MethodGet, "/route/", "", "", 200},
		{http.MethodPost, "/small/api/events", mountedEvent, "", 413},
		{http.MethodGet, "/users/api/webhooks", "", asBasic("bob", "password"), 200},
		{http.MethodGet, "/users/api/webhooks", "", asBasic("bob", "wrong"), 401},
	} {
		var headers []string
		if tc.auth != "" {
			headers = []string{"Authorization", tc.auth}
		}
		if got := s.do(tc.method, tc.path, tc.body, headers...); got.status != tc.want {
			t.Errorf("%s %s: got %d: %s", tc.method, tc.path, got.status, got.body)
		}
	}
	// Only callers of a path that would be right without its prefix get a hint.
	for path, hint := range prefixHints {
		got, err := exchangeWith(http.DefaultClient, http.MethodGet, "http://"+s.addr+path, "")
		if err != nil {
			t.Fatal(err)
		}
		told := strings.Contains(string(got.ResponseBody), "handle_path")
		if got.Status != 404 || told != (hint != "") || !strings.Contains(string(got.ResponseBody), hint) {
			t.Errorf("%s: got %d: %s", path, got.Status, got.ResponseBody)
		}
	}
	// The rest of the site is served as before.
	if got := s.do(http.MethodGet, "/beside", ""); !strings.Contains(string(got.body), "beside") {
		t.Errorf("got %s", got.body)
	}
}

// asBasic is the Authorization header that a browser sends for a user.
func asBasic(user, password string) string {
	r, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		return ""
	}
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}
