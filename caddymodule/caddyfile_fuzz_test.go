package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// FuzzCaddyfile: whatever stands in the two blocks of the Caddyfile, it is refused
// with an error that names the place, or becomes a configuration that can be
// provisioned, or is refused then.
func FuzzCaddyfile(f *testing.F) {
	for _, seed := range []string{
		"store redis redis://user:hush@localhost:6379/1",
		"store redis redis://a:1 redis://b:2 {\nkey_prefix p\npartitions 4\nwait_replicas 1 2s\n}",
		"store redis {\naddress a:1 b:2\nsentinel main\nsentinel_username u\nsentinel_password p\nusername u\npassword p\ndb 1\ntls\n}",
		"event_types a b {env.X}\nsignature_header X-Sig\nstandard_webhooks",
		"retry {\nattempts 3\ndelay 2m\njitter 1s 60s\n}\ntimeout 15s\nconcurrency 512 32\nretention 14d",
		"max_event_size 1MiB\nmax_response_size 16KiB",
		"destinations {\nallow_http\nports 443 8000-8999\nallow 127.0.0.0/8 ::1\nnat64 64:ff9b:1::/48\nallow_host a.test *.b.test\ndeny 198.51.100.0/24 *.c.test\nproxy socks5://p:1\ntrusted_ca nowhere.pem\n}",
		"emit_token {env.X}\nadmin_token \"a b\"\nadmin_user {http.auth.user.id}\ntenant a{header.X}\ninsecure_no_auth",
		"{", "}", "retry {", "timeout <<X\n1s\nX", "timeout \\\n1s", "store { }", "retry { { } }", "`", "\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		tokens, err := caddyfile.Tokenize([]byte("webhooks {\n"+lines+"\n}"), "Caddyfile")
		if err != nil {
			return // Caddy's own
		}
		config := map[string]json.RawMessage{"store": json.RawMessage(`{"module":"redis","addresses":["localhost:1"]}`)}
		parsed, err := parseApp(caddyfile.NewDispenser(tokens), nil)
		if err != nil {
			wantPlace(t, err)
		} else if err := json.Unmarshal(parsed.(httpcaddyfile.App).Value, &config); err != nil {
			t.Fatal(err)
		}
		handler := new(Handler)
		if err := handler.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
			wantPlace(t, err)
			handler = new(Handler)
		}
		if strings.Contains(lines, "{file.") || strings.Contains(lines, "trusted_ca") {
			return // there are files that never end
		}
		provision(t, config, handler)
	})
}

// provision does with a configuration what "caddy validate" does.
func provision(t *testing.T, config map[string]json.RawMessage, handler *Handler) {
	t.Helper()
	quiet := &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{
		WriterRaw: json.RawMessage(`{"output":"discard"}`),
	}}}}
	routes := caddyhttp.RouteList{{HandlersRaw: []json.RawMessage{caddyconfig.JSONModuleObject(handler, "handler", "webhooks", nil)}}}
	apps := caddy.ModuleMap{
		"webhooks": caddyconfig.JSON(config, nil),
		"http":     caddyconfig.JSON(map[string]any{"servers": map[string]any{"one": map[string]any{"routes": routes}}}, nil),
	}
	err := caddy.Validate(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, Logging: quiet, AppsRaw: apps})
	if err != nil && !strings.Contains(err.Error(), "webhooks: ") {
		t.Errorf("an error of another kind: %v", err)
	}
	engines.Range(func(key, _ any) bool {
		t.Errorf("the engine of %v is left", key)
		return false
	})
}

// wantPlace wants an error that says where in the file the mistake is.
func wantPlace(t *testing.T, err error) {
	t.Helper()
	if !strings.Contains(err.Error(), ", at Caddyfile:") {
		t.Errorf("no file and line: %v", err)
	}
}
