package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// resolvers resolve each option that takes placeholders.
var resolvers = map[string]func(value string) error{
	"emit_token":       func(value string) error { return resolveHandler(Handler{EmitTokens: plain(value)}) },
	"admin_token_hash": func(value string) error { return resolveHandler(Handler{AdminTokens: []Token{{Hash: value}}}) },
	"viewer_token": func(value string) error {
		return resolveHandler(Handler{ViewerTokens: plain(value)})
	},
	"admin_token": func(value string) error { return resolveHandler(Handler{AdminTokens: plain(value)}) },
	"its tenant": func(value string) error {
		return resolveHandler(Handler{AdminTokens: []Token{{Token: "hush", Tenant: value}}})
	},
	"tenant": func(value string) error { return resolveHandler(Handler{Tenant: value}) },

	"signature_header": func(value string) error { return resolveApp(App{SignatureHeader: value}) },
	"event_types":      func(value string) error { return resolveApp(App{EventTypes: []string{value}}) },
	"allow":            func(value string) error { return resolveApp(App{Destinations: &Destinations{Allow: []string{value}}}) },
	"ports":            func(value string) error { return resolveApp(App{Destinations: &Destinations{Ports: []string{value}}}) },
	"allow_host": func(value string) error {
		return resolveApp(App{Destinations: &Destinations{AllowHost: []string{value}}})
	},
	"nat64": func(value string) error { return resolveApp(App{Destinations: &Destinations{NAT64: []string{value}}}) },
	"deny":  func(value string) error { return resolveApp(App{Destinations: &Destinations{Deny: []string{value}}}) },
	"proxy": func(value string) error {
		return resolveApp(App{Destinations: &Destinations{Proxy: "http://user:" + value + "@localhost:3128"}})
	},
	"encryption_key": func(value string) error { return resolveApp(App{EncryptionKeys: []string{value}}) },
	"trusted_ca": func(value string) error {
		return resolveApp(App{Destinations: &Destinations{TrustedCA: []string{value}}})
	},
	"folder": func(value string) error {
		return (&EmbeddedStore{Folder: value}).Provision(caddy.Context{})
	},

	"password":          func(value string) error { return resolveRedis(RedisStore{Password: value}) },
	"username":          func(value string) error { return resolveRedis(RedisStore{Username: value, Password: "hush"}) },
	"key_prefix":        func(value string) error { return resolveRedis(RedisStore{KeyPrefix: value}) },
	"sentinel":          func(value string) error { return resolveRedis(RedisStore{Sentinel: value}) },
	"sentinel_password": func(value string) error { return resolveRedis(RedisStore{Sentinel: "main", SentinelPassword: value}) },
	"sentinel_username": func(value string) error {
		return resolveRedis(RedisStore{Sentinel: "main", SentinelPassword: "hush", SentinelUsername: value})
	},
	"address": func(value string) error {
		s := RedisStore{Addresses: []string{"localhost:" + value}}
		return s.resolve(caddy.NewReplacer())
	},
	"URL": func(value string) error {
		s := RedisStore{URLs: []string{"redis://:" + value + "@localhost:6379"}}
		return s.resolve(caddy.NewReplacer())
	},
}

func resolveHandler(h Handler) error {
	if _, err := h.newAccess(caddy.NewReplacer()); err != nil {
		return err
	}
	_, err := h.newTenant(caddy.NewReplacer())
	return err
}

func resolveApp(a App) error { return a.resolve(caddy.NewReplacer()) }

func resolveRedis(s RedisStore) error {
	s.Addresses = []string{"localhost:6379"}
	return s.resolve(caddy.NewReplacer())
}

// TestInvisibleCharacters gives each option a file in which something is that
// nobody sees.
func TestInvisibleCharacters(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	placeholder := "{file." + file + "}"
	for content, want := range map[string]string{
		"hush\n\n":             "ends with a line break",
		"hush\r\n\r\n":         "ends with a line break",
		"hush\n\r":             "ends with a line break",
		"hush \n":              "ends with white space",
		"hush\t":               "ends with white space",
		"hush\u00a0\n":         "ends with white space",
		"\nhush":               "begins with white space",
		" hush\n":              "begins with white space",
		"\ufeffhush\n":         "begins with a byte order mark",
		"h\x00u\x00s\x00h\x00": "contains the invisible character U+0000",
		"hu\x1b[0msh":          "contains the invisible character U+001B",
		"hu\u200bsh":           "contains the invisible character U+200B",
		"hush\nhush\n":         "contains the invisible character U+000A",
		"\n":                   "(does the file exist, and may Caddy read it?)",
		" ":                    "ends with white space",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for option, resolve := range resolvers {
			err := resolve(placeholder)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), placeholder) ||
				!strings.Contains(err.Error(), option) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%s of %q: got %v", option, content, err)
			}
		}
	}
}

// TestLineBreakOfAFile has files end as editors and echo end them.
func TestLineBreakOfAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	for _, content := range []string{"hush", "hush\n", "hush\r\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := resolve(caddy.NewReplacer(), "{file."+file+"}"); got != "hush" || err != nil {
			t.Errorf("%q: got %q, %v", content, got, err)
		}
	}
}

func TestTokensThatNobodyCanSend(t *testing.T) {
	for token, ok := range map[string]bool{
		"hush":             true,
		"a b":              true,
		"~!@#$%^&*()_+/=.": true,
		"hüsh":             false,
		"“hush”":           false,
		"hush\xff":         false,
		"hu\tsh":           false,
		" hush":            false,
		"hush ":            false,
	} {
		for _, h := range []Handler{{EmitTokens: plain(token)}, {AdminTokens: plain(token)}} {
			if err := resolveHandler(h); (err == nil) != ok {
				t.Errorf("%q: got %v", token, err)
			}
		}
	}
}

// TestRequestText compares the texts of a request with what Caddy makes of them.
func TestRequestText(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set("X-Tenant", "a")
	r.Header["X-Two"] = []string{"a", "b"}
	repl := caddy.NewReplacer()
	repl.Set("number", 7)
	repl.Set(`\`, "backslash")
	r = caddyhttp.PrepareRequest(r, repl, httptest.NewRecorder(), nil)
	for _, text := range []string{
		"", "plain", "{", "}", "{}", "{{}}", "{number}", "{unknown}", `{\}`, `\{number}`, `{number\}`, " {number}", "{number}{number}",
		"{http.request.header.X-Tenant}", "{http.request.header.x-tenant}", "{http.request.header.X-Two}", "{http.request.header.X-None}",
		"t-{http.request.header.X-Tenant}", "{http.request.host.labels.1}", "{http.auth.user.id}", "{env.WEBHOOKS_TEST_NONE}",
	} {
		want := text
		if hasPlaceholder(text) {
			want = repl.ReplaceAll(text, "")
		}
		resolved := newRequestText(text)
		if got := resolved.of(r); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
