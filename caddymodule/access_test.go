package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

func TestRole(t *testing.T) {
	tokens := Handler{EmitTokens: plain("emit-1", "emit-2"), ViewerTokens: plain("viewer-1"), AdminTokens: plain("admin-1", "admin-2")}
	for _, tc := range []struct {
		name    string
		handler Handler
		header  string // Authorization
		user    string // {http.auth.user.id}
		want    api.Role
	}{
		{"nobody", tokens, "", "", api.Nobody},
		{"emit token", tokens, "Bearer emit-1", "", api.Emitter},
		{"second emit token", tokens, "Bearer emit-2", "", api.Emitter},
		{"admin token", tokens, "Bearer admin-1", "", api.Admin},
		{"second admin token", tokens, "Bearer admin-2", "", api.Admin},
		{"scheme in another case", tokens, "bEARER admin-1", "", api.Admin},
		{"more spaces", tokens, "Bearer   admin-1", "", api.Admin},
		{"another token", tokens, "Bearer admin-3", "", api.Nobody},
		{"part of a token", tokens, "Bearer admin-", "", api.Nobody},
		{"token in another case", tokens, "Bearer ADMIN-1", "", api.Nobody},
		{"empty token", tokens, "Bearer ", "", api.Nobody},
		{"no token", tokens, "Bearer", "", api.Nobody},
		{"another scheme", tokens, "Token admin-1", "", api.Nobody},
		{"admin token as password", tokens, basic("anyone", "admin-2"), "", api.Admin},
		{"without user name", tokens, basic("", "admin-1"), "", api.Admin},
		{"viewer token", tokens, "Bearer viewer-1", "", api.Viewer},
		{"viewer token as password", tokens, basic("anyone", "viewer-1"), "", api.Viewer},
		{"emit token as password", tokens, basic("anyone", "emit-1"), "", api.Nobody},
		{"admin token as user name", tokens, basic("admin-1", ""), "", api.Nobody},
		{"broken basic", tokens, "Basic admin-1", "", api.Nobody},
		{"user", tokens, "", "bob", api.Admin},
		{"user with an emit token", tokens, "Bearer emit-1", "bob", api.Admin},
		{"nothing configured", Handler{}, "Bearer x", "", api.Nobody},
		{"nothing configured, empty token", Handler{}, "Bearer ", "", api.Nobody},
		{"nothing configured, empty password", Handler{}, basic("", ""), "", api.Nobody},
		{"nothing configured but a user", Handler{}, "", "bob", api.Admin},
		{"no auth", Handler{InsecureNoAuth: true}, "", "", api.Admin},
		{"no auth and a wrong token", Handler{InsecureNoAuth: true, AdminTokens: plain("x")}, "Bearer y", "", api.Admin},
		{"unknown placeholder", Handler{AdminUser: "{http.auth.user.nothing}"}, "", "bob", api.Nobody},
		{"header", Handler{AdminUser: "{http.request.header.Remote-User}"}, "", "", api.Nobody},
		{"token in both lists", Handler{EmitTokens: plain("x"), AdminTokens: plain("x")}, "Bearer x", "", api.Admin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := tc.handler.newAccess(caddy.NewReplacer())
			if err != nil {
				t.Fatal(err)
			}
			if got := a.caller(newCall(t, tc.header, tc.user), "default").Role; got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// newCall is a call with these credentials, by a user whom Caddy has let in.
func newCall(t *testing.T, authorization, user string) *http.Request {
	t.Helper()
	repl := caddy.NewReplacer()
	if user != "" {
		repl.Set("http.auth.user.id", user)
	}
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), caddy.ReplacerCtxKey, repl), http.MethodGet, "/", nil)
	r.RemoteAddr, r.Host = "127.0.0.1:1234", "localhost"
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// plain are tokens for any tenant.
func plain(tokens ...string) []Token {
	made := make([]Token, len(tokens))
	for i, token := range tokens {
		made[i].Token = token
	}
	return made
}

// basic is the header that a browser sends.
func basic(user, password string) string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return r.Header.Get("Authorization")
}

func TestEmptySecrets(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	for value, want := range map[string]string{
		"":                            "token is empty",
		"{env.WEBHOOKS_TEST_EMPTY}":   "token is empty: {env.WEBHOOKS_TEST_EMPTY} has no value (is the environment variable set?)",
		"{env.WEBHOOKS_TEST_UNSET}":   "token is empty: {env.WEBHOOKS_TEST_UNSET} has no value",
		"{file./does/not/exist}":      "token is empty: {file./does/not/exist} has no value (does the file exist, and may Caddy read it?)",
		"a {env.WEBHOOKS_TEST_EMPTY}": "token is incomplete: {env.WEBHOOKS_TEST_EMPTY} is empty",
	} {
		for _, h := range []Handler{{EmitTokens: plain("good", value)}, {AdminTokens: plain(value)}} {
			if _, err := h.newAccess(caddy.NewReplacer()); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v", value, err)
			}
		}
	}
}

func TestUnknownPlaceholderIsNoToken(t *testing.T) {
	for _, value := range []string{"{ADMIN_TOKEN}", "{http.request.uri.path.file.admin_token}", "{evn.ADMIN_TOKEN}"} {
		for _, h := range []Handler{{EmitTokens: plain("good", value)}, {AdminTokens: plain(value)}} {
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
