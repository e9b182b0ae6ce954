package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestRole(t *testing.T) {
	tokens := Handler{EmitTokens: []string{"emit-1", "emit-2"}, AdminTokens: []string{"admin-1", "admin-2"}}
	for _, tc := range []struct {
		name    string
		handler Handler
		header  string // Authorization
		user    string // {http.auth.user.id}
		want    role
	}{
		{"nobody", tokens, "", "", nobody},
		{"emit token", tokens, "Bearer emit-1", "", emitter},
		{"second emit token", tokens, "Bearer emit-2", "", emitter},
		{"admin token", tokens, "Bearer admin-1", "", admin},
		{"second admin token", tokens, "Bearer admin-2", "", admin},
		{"scheme in another case", tokens, "bEARER admin-1", "", admin},
		{"more spaces", tokens, "Bearer   admin-1", "", admin},
		{"another token", tokens, "Bearer admin-3", "", nobody},
		{"part of a token", tokens, "Bearer admin-", "", nobody},
		{"token in another case", tokens, "Bearer ADMIN-1", "", nobody},
		{"empty token", tokens, "Bearer ", "", nobody},
		{"no token", tokens, "Bearer", "", nobody},
		{"another scheme", tokens, "Token admin-1", "", nobody},
		{"admin token as password", tokens, basic("anyone", "admin-2"), "", admin},
		{"without user name", tokens, basic("", "admin-1"), "", admin},
		{"emit token as password", tokens, basic("anyone", "emit-1"), "", nobody},
		{"admin token as user name", tokens, basic("admin-1", ""), "", nobody},
		{"broken basic", tokens, "Basic admin-1", "", nobody},
		{"user", tokens, "", "bob", admin},
		{"user with an emit token", tokens, "Bearer emit-1", "bob", admin},
		{"nothing configured", Handler{}, "Bearer x", "", nobody},
		{"nothing configured, empty token", Handler{}, "Bearer ", "", nobody},
		{"nothing configured, empty password", Handler{}, basic("", ""), "", nobody},
		{"nothing configured but a user", Handler{}, "", "bob", admin},
		{"no auth", Handler{InsecureNoAuth: true}, "", "", admin},
		{"unknown placeholder", Handler{AdminUser: "{http.nothing}"}, "", "bob", nobody},
		{"header", Handler{AdminUser: "{http.request.header.Remote-User}"}, "", "", nobody},
		{"token in both lists", Handler{EmitTokens: []string{"x"}, AdminTokens: []string{"x"}}, "Bearer x", "", admin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := tc.handler.newAccess(caddy.NewReplacer())
			if err != nil {
				t.Fatal(err)
			}
			repl := caddy.NewReplacer()
			if tc.user != "" {
				repl.Set("http.auth.user.id", tc.user)
			}
			r := httptest.NewRequestWithContext(context.WithValue(t.Context(), caddy.ReplacerCtxKey, repl), http.MethodGet, "/", nil)
			if tc.header != "" {
				r.Header.Set("Authorization", tc.header)
			}
			if got := a.role(r); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// basic is the header that a browser sends.
func basic(user, password string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestEmptySecrets(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	for _, value := range []string{
		"", "{env.WEBHOOKS_TEST_EMPTY}", "{env.WEBHOOKS_TEST_UNSET}", "{file./does/not/exist}",
		"before {env.WEBHOOKS_TEST_EMPTY} after",
	} {
		for _, h := range []Handler{{EmitTokens: []string{"good", value}}, {AdminTokens: []string{value}}} {
			if _, err := h.newAccess(caddy.NewReplacer()); err == nil || !strings.Contains(err.Error(), "token is empty") {
				t.Errorf("%q: got %v", value, err)
			}
		}
	}
}

func TestUnknownPlaceholderIsNoToken(t *testing.T) {
	for _, value := range []string{"{ADMIN_TOKEN}", "{http.request.uri.path.file.admin_token}", "{evn.ADMIN_TOKEN}"} {
		for _, h := range []Handler{{EmitTokens: []string{"good", value}}, {AdminTokens: []string{value}}} {
			if _, err := h.newAccess(caddy.NewReplacer()); err == nil || !strings.Contains(err.Error(), "token is a placeholder that means nothing here") {
				t.Errorf("%q: got %v", value, err)
			}
		}
	}
}

func TestResolve(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_VALUE", "value")
	for value, want := range map[string]string{
		"plain":                       "plain",
		"{env.WEBHOOKS_TEST_VALUE}":   "value",
		"a{env.WEBHOOKS_TEST_VALUE}b": "avalueb",
		"pass{word}":                  "pass{word}",          // braces of a password
		`pass\{word\}`:                "pass{word}",          // as Caddy escapes them
		"{http.request.host}":         "{http.request.host}", // for later
	} {
		if got, err := resolve(caddy.NewReplacer(), value); got != want || err != nil {
			t.Errorf("%q: got %q, %v", value, got, err)
		}
	}
}

func TestAdminUser(t *testing.T) {
	for value, ok := range map[string]bool{
		"{http.auth.user.id}":               true,
		"{http.request.header.Remote-User}": true,
		"bob":                               false,
		"":                                  false,
		"{}":                                false,
		"{a}{b}":                            false,
		"{env.ADMIN}":                       false, // everyone would be admin
		"{file./etc/hostname}":              false,
		"{system.hostname}":                 false,
		"{time.now}":                        false,
	} {
		if err := checkAdminUser(value); (err == nil) != ok {
			t.Errorf("%q: got %v", value, err)
		}
	}
}
