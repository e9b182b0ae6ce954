package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// warnings are the lines of Caddy's log that warn of tokens: for each, the tokens that it
// names.
func (s *caddySite) warnings(about string) (named []string) {
	s.t.Helper()
	raw, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var entry struct {
			Level, Msg, Tenant string
			Tokens             []string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			s.t.Fatal(err)
		}
		if entry.Level == "warn" && strings.Contains(entry.Msg, about) {
			named = append(named, fmt.Sprint(entry.Tokens, entry.Tenant))
		}
	}
	return named
}

// TestTokensWhoseTenantIsFree loads handlers whose callers name the tenant themselves. Each
// load says so once.
func TestTokensWhoseTenantIsFree(t *testing.T) {
	const free, useless = "acts for whichever tenant the call names", "can do nothing here"
	const all = "emit_token emit-token-of-the-tests\nemit_token acme-token-of-the-tests acme\n" +
		"viewer_token viewer-token-of-the-tests\nadmin_token admin-token-of-the-tests\n"
	for name, tc := range map[string]struct {
		handler       string
		free, useless string
	}{
		"a header":                {all + "tenant {header.X-Tenant}", "[emit_token 1 viewer_token 1 admin_token 1]{http.request.header.X-Tenant}", ""},
		"a label":                 {all + "tenant a-{labels.2}", "[emit_token 1 viewer_token 1 admin_token 1]a-{http.request.host.labels.2}", ""},
		"the tenant":              {all + "tenant acme", "", ""},
		"another tenant":          {all + "tenant umbrella", "", "[emit_token 2]umbrella"},
		"none":                    {all, "", "[emit_token 2]default"},
		"a header, and bound":     {"admin_token acme-token-of-the-tests acme\ntenant {header.X-Tenant}", "", ""},
		"a header, and no tokens": {"tenant {header.X-Tenant}", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startSite(t, siteConfig{webhooks: "store embedded " + t.TempDir(), handler: tc.handler})
			for about, want := range map[string]string{free: tc.free, useless: tc.useless} {
				if got := s.warnings(about); !slices.Equal(got, slices.DeleteFunc([]string{want}, func(s string) bool { return s == "" })) {
					t.Errorf("%s: got %q, want %q", about, got, want)
				}
			}
		})
	}
}

// TestShortTokens loads tokens that may be guessed. The log names them, and shows none.
func TestShortTokens(t *testing.T) {
	const hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	s := startSite(t, siteConfig{
		webhooks: "store embedded " + t.TempDir(),
		handler: "emit_token fifteen-bytes-x\nemit_token sixteen-bytes-xx\nviewer_token_hash " + hash + "\n" +
			"admin_token sixteen-bytes-yy\nadmin_token hush-hush\nadmin_token acme-hush acme",
	})
	if got := s.warnings("may be guessed"); !slices.Equal(got, []string{"[emit_token 1 admin_token 2 admin_token 3]"}) {
		t.Errorf("got %q", got)
	}
	s.ready()
	s.do("GET", "/hooks/api/webhooks", "", "Authorization", "Bearer x").want(t, 200, nil) // the hash is its
	raw, err := os.ReadFile(s.log)
	if err != nil || strings.Contains(string(raw), "hush") || strings.Contains(string(raw), "bytes-x") {
		t.Errorf("a token is in the log, or it cannot be read: %v", err)
	}
}
