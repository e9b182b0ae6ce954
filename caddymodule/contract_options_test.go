package caddymodule

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// nested makes Caddyfiles whose lines are in a block of the webhooks global option, after
// those in before.
func nested(name, before string) func(lines string) string {
	return func(lines string) string { return global(name + " {" + before + "\n\t\t\t" + lines + "\n\t\t}") }
}

// optionBlocks are the blocks of the Caddyfile, and the options that each may have.
var optionBlocks = []struct {
	name string
	in   func(lines string) string // makes a Caddyfile with the lines in the block
	line int                       // the number of the first of these lines

	bare     []string // options that take no value
	single   []string // options that may be given once
	repeated []string // options that may be given again
}{
	{
		name: "webhooks", in: global, line: 3,
		bare: []string{"standard_webhooks", "encrypt_payloads", "disable_on_gone"},
		single: []string{
			"store redis redis://a:1", "event_types a b", "signature_header X-A", "retry {\n\t\t\tattempts 3\n\t\t}", "timeout 15s",
			"concurrency 512 32", "retention 14d", "max_event_size 1MiB", "max_response_size 16KiB", "disable_after 5d", "emit_queue 16MiB", "destinations {\n\t\t\tallow_http\n\t\t}",
		},
		repeated: []string{"encryption_key {env.A} {env.B}"},
	},
	{
		name: "retry", in: nested("retry", ""), line: 4,
		single: []string{"attempts 3", "delay 2m", "delays 5s 5m 30m 2h", "jitter 1s 60s", "retry_after 24h"},
	},
	{
		name: "destinations", in: nested("destinations", ""), line: 4,
		bare:     []string{"allow_http"},
		single:   []string{"proxy http://proxy:3128"},
		repeated: []string{"ports 443 8000-8999", "allow 127.0.0.0/8 10.0.0.0/8", "allow_host hooks.internal *.example.com", "nat64 2001:db8:64::/96", "deny 198.51.100.0/24 *.example.net", "trusted_ca a.pem b.pem"},
	},
	{
		name: "redis", in: nested("store redis", "\n\t\t\taddress a:1"), line: 5,
		bare:     []string{"tls", "allow_eviction"},
		single:   []string{"sentinel main", "username u", "password p", "db 1", "key_prefix p", "partitions 4", "wait_replicas 1 500ms"},
		repeated: []string{"address b:1 c:1"},
	},
	{
		name: "webhooks", in: site, line: 3,
		bare:     []string{"insecure_no_auth"},
		single:   []string{"admin_user {http.auth.user.id}", "tenant {labels.2}"},
		repeated: []string{"emit_token_hash {env.A}", "viewer_token_hash {env.A} acme", "admin_token_hash {env.A}", "viewer_token {env.A}", "viewer_token {env.A} acme", "emit_token {env.A}", "emit_token {env.A} acme", "admin_token {env.A}", "admin_token {env.A} acme"},
	},
	{
		name: "webhooks_emit", in: emitBlock, line: 3,
		bare:   []string{"strict"},
		single: []string{"on 2xx 404", "data request", "id {header.Idempotency-Key}", "tenant {labels.2}", "max_size 16KiB"},
	},
}

// TestEveryOption gives each option of the contract once, twice, and without its value.
func TestEveryOption(t *testing.T) {
	for _, block := range optionBlocks {
		taken := func(lines string) {
			t.Helper()
			if _, err := adapt(block.in(lines)); err != nil {
				t.Errorf("%q: %v", lines, err)
			}
		}
		refused := func(lines string, line int, want string) {
			t.Helper()
			_, err := adapt(block.in(lines))
			if place := fmt.Sprintf("at Caddyfile:%d", line); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), place) {
				t.Errorf("%q: got %v, want %s, %s", lines, err, want, place)
			}
		}
		refused("nonsense 1", block.line, "unrecognized "+block.name+" option 'nonsense'")
		for _, option := range block.bare {
			refused(option+" on", block.line, "wrong argument count")
		}
		for _, option := range slices.Concat(block.bare, block.single) {
			name, _, _ := strings.Cut(option, " ")
			taken(option)
			refused(option+"\n"+option, block.line+strings.Count(option, "\n")+1, name+" is given twice")
		}
		for _, option := range block.repeated {
			taken(option + "\n" + option)
		}
		for _, option := range slices.Concat(block.single, block.repeated) {
			name, _, _ := strings.Cut(option, " ")
			refused(name, block.line, name)
		}
	}
}

// TestRedisBlock resolves all options of store redis.
func TestRedisBlock(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_PASSWORD", "hush")
	s := RedisStore{
		Addresses: []string{"a:1", "b:1"}, Sentinel: "main", SentinelUsername: "watcher", SentinelPassword: "{env.WEBHOOKS_TEST_PASSWORD}",
		Username: "ada", Password: "{env.WEBHOOKS_TEST_PASSWORD}", DB: 2, TLS: true, KeyPrefix: "hooks", Partitions: 4,
	}
	if err := s.resolve(caddy.NewReplacer()); err != nil {
		t.Fatal(err)
	}
	o := s.options
	switch {
	case !slices.Equal(o.Addresses, s.Addresses), o.SentinelMaster != "main", o.SentinelUsername != "watcher", o.SentinelPassword != "hush",
		o.Username != "ada", o.Password != "hush", o.DB != 2, o.TLS == nil, o.KeyPrefix != "hooks", o.Partitions != 4:
		t.Errorf("got %+v", o)
	}
}
