package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// TestTokenInJSON reads tokens as configurations have them, and writes them in the
// shortest form.
func TestTokenInJSON(t *testing.T) {
	for raw, want := range map[string]struct {
		token Token
		again string
	}{
		`"a"`:                           {Token{Token: "a"}, `"a"`},
		` "a" `:                         {Token{Token: "a"}, `"a"`},
		`{"token":"a"}`:                 {Token{Token: "a"}, `"a"`},
		`{"tenant":"acme","token":"a"}`: {Token{Token: "a", Tenant: "acme"}, `{"token":"a","tenant":"acme"}`},
		`{"hash":"00","tenant":"acme"}`: {Token{Hash: "00", Tenant: "acme"}, `{"hash":"00","tenant":"acme"}`},
		`{"hash":"00"}`:                 {Token{Hash: "00"}, `{"hash":"00"}`},
	} {
		var got Token
		if err := json.Unmarshal([]byte(raw), &got); err != nil || got != want.token {
			t.Errorf("%s: got %+v, %v", raw, got, err)
		}
		if again, err := json.Marshal(got); err != nil || string(again) != want.again {
			t.Errorf("%s: got %s, %v", raw, again, err)
		}
	}
	for _, raw := range []string{`1`, `null`, `["a"]`, `{"token":1}`, `{"token":"a","tenants":"acme"}`} {
		var got Token
		if err := caddy.StrictUnmarshalJSON([]byte(`{"admin_tokens":[`+raw+`]}`), new(Handler)); err == nil && raw != "null" {
			t.Errorf("%s: got %+v", raw, got)
		}
	}
	h := new(Handler)
	if err := caddy.StrictUnmarshalJSON([]byte(`{"emit_tokens":["a","b"],"admin_tokens":[null]}`), h); err != nil || h.EmitTokens[1] != (Token{Token: "b"}) {
		t.Errorf("got %+v, %v", h, err)
	}
	if err := resolveHandler(*h); err == nil || !strings.Contains(err.Error(), "admin_token is empty") {
		t.Errorf("null: %v", err)
	}
}

// TestSameTokenTwice gives a token in two places. It must be clear what it allows.
func TestSameTokenTwice(t *testing.T) {
	a, b, free := Token{Token: "x", Tenant: "a"}, Token{Token: "x", Tenant: "b"}, Token{Token: "x"}
	for name, tc := range map[string]struct {
		h  Handler
		ok bool
	}{
		"the same":                       {Handler{AdminTokens: []Token{free, free}}, true},
		"the same, of a tenant":          {Handler{AdminTokens: []Token{a, a}}, true},
		"two tenants":                    {Handler{AdminTokens: []Token{a, b}}, false},
		"with and without a tenant":      {Handler{AdminTokens: []Token{free, a}}, false},
		"two tenants and options":        {Handler{EmitTokens: []Token{a}, AdminTokens: []Token{b}}, false},
		"two options":                    {Handler{EmitTokens: []Token{a}, AdminTokens: []Token{a}}, true},
		"emitter and viewer":             {Handler{EmitTokens: []Token{a}, ViewerTokens: []Token{a}}, false},
		"viewer and admin":               {Handler{ViewerTokens: []Token{a}, AdminTokens: []Token{a}}, true},
		"two options, only one is bound": {Handler{EmitTokens: []Token{free}, AdminTokens: []Token{a}}, false},
	} {
		if err := resolveHandler(tc.h); (err == nil) != tc.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, h := range []Handler{{EmitTokens: []Token{a}, AdminTokens: []Token{a}}, {ViewerTokens: []Token{a}, AdminTokens: []Token{a}}} {
		access, err := h.newAccess(caddy.NewReplacer())
		if err != nil {
			t.Fatal(err)
		}
		if by := access.caller(newCall(t, "Bearer x", ""), "a"); by.Role != api.Admin {
			t.Errorf("a token of both options has the role %d", by.Role)
		}
	}
}

// TestHashOfAToken compares a token with the hash that a configuration has of it.
func TestHashOfAToken(t *testing.T) {
	const hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // of "x"
	t.Setenv("WEBHOOKS_TEST_HASH", strings.ToUpper(hash))
	for _, value := range []string{hash, "{env.WEBHOOKS_TEST_HASH}"} {
		h := Handler{EmitTokens: []Token{{Hash: value}}, AdminTokens: []Token{{Token: "x"}}}
		access, err := h.newAccess(caddy.NewReplacer())
		if err != nil {
			t.Fatal(err)
		}
		if by := access.caller(newCall(t, "Bearer x", ""), "a"); by.Role != api.Admin {
			t.Errorf("%s: the same token has the role %d", value, by.Role)
		}
		access.tokens = access.tokens[:1]
		if by := access.caller(newCall(t, "Bearer x", ""), "a"); by.Role != api.Emitter {
			t.Errorf("%s: the token has the role %d", value, by.Role)
		}
		if by := access.caller(newCall(t, "Bearer "+hash, ""), "a"); by.Role != api.Nobody {
			t.Errorf("%s: its hash has the role %d", value, by.Role)
		}
	}
	both := Handler{AdminTokens: []Token{{Token: "x", Hash: hash}}}
	if err := resolveHandler(both); err == nil || !strings.Contains(err.Error(), "admin_token has both a token and a hash") {
		t.Errorf("both: got %v", err)
	}
	twice := Handler{AdminTokens: []Token{{Token: "x"}, {Hash: hash, Tenant: "acme"}}}
	if err := resolveHandler(twice); err == nil {
		t.Error("the same token is taken with and without a tenant")
	}
}
