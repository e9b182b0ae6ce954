package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

var update = flag.Bool("update", false, "write what the Caddyfiles in testdata adapt to")

// adapt turns a Caddyfile into JSON, as "caddy adapt" does.
func adapt(caddyfile string) ([]byte, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	return adapted, err
}

// TestAdapt checks what Caddyfiles adapt to. Each file in testdata/adapt has a Caddyfile, a
// line of dashes, and the JSON that it must adapt to.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	const dashes = "----------\n"
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(raw), dashes)
			adapted, err := adapt(caddyfile)
			if err != nil {
				t.Fatal(err)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, adapted, "", "\t"); err != nil {
				t.Fatal(err)
			}
			got := indented.String() + "\n"
			if *update {
				if err := os.WriteFile(file, []byte(caddyfile+dashes+got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// global makes a Caddyfile that has lines in the webhooks global option, from line 3 on.
func global(lines string) string {
	return "{\n\twebhooks {\n\t\t" + lines + "\n\t}\n}\n"
}

// site makes a Caddyfile that has lines in the webhooks directive, from line 3 on.
func site(lines string) string {
	return "http://:8080 {\n\twebhooks {\n\t\t" + lines + "\n\t}\n}\n"
}

// adaptErrors are mistakes in a Caddyfile, and part of the error that each leads to.
var adaptErrors = []struct{ caddyfile, want string }{
	{global("nonsense"), "unrecognized webhooks option 'nonsense', at Caddyfile:3"},
	{global("timeout"), "wrong argument count or unexpected line ending after 'timeout', at Caddyfile:3"},
	{global("timeout 15s 16s"), "wrong argument count or unexpected line ending after '15s', at Caddyfile:3"},
	{global("timeout -1s"), "timeout must be more than 0 and at most 10m0s, not -1s, at Caddyfile:3"},
	{global("disable_after 0"), "disable_after must be more than 0, at Caddyfile:3"},
	{global("disable_after 100ms"), "disable_after must be 1s to 43920h0m0s, not 100ms, at Caddyfile:3"},
	{global("timeout 0"), "timeout must be more than 0, at Caddyfile:3"},
	{global("timeout soon"), "'soon' is not a duration such as 15s, 2m or 14d, at Caddyfile:3"},
	{global("timeout {env.WEBHOOKS_TEST_EMPTY}"), "the value is empty: {env.WEBHOOKS_TEST_EMPTY} has no value (is the environment variable set?), at Caddyfile:3"},
	{global("timeout {env.WEBHOOKS_TEST_PASSWORD}"), "'{env.WEBHOOKS_TEST_PASSWORD}' is not a duration such as 15s, 2m or 14d, at Caddyfile:3"},
	{global("timeout 1s\n\t\ttimeout 2s"), "timeout is given twice, at Caddyfile:4"},
	{global("timeout 1s {\n\t\t}"), "unrecognized webhooks option '{', at Caddyfile:3"},
	{global("limits"), "limits needs a block with at least one option, at Caddyfile:3"},
	{global("limits {\n\t\t\twebhooks 10001\n\t\t}"), "limits webhooks must be 1 to 10000, not 10001, at Caddyfile:4"},
	{global("limits {\n\t\t\tevents 10\n\t\t}"), "wrong argument count or unexpected line ending after '10', at Caddyfile:4"},
	{global("limits {\n\t\t\tevents 0 1m\n\t\t}"), "events must be more than 0, at Caddyfile:4"},
	{global("limits {\n\t\t\tevents 10 1ms\n\t\t}"), "limits events must be for a time of 1s to 24h, not 1ms, at Caddyfile:4"},
	{global("limits {\n\t\t\tstreams 65\n\t\t}"), "limits streams must be 1 to 64, not 65, at Caddyfile:4"},
	{global("limits {\n\t\t\tstored 1KiB\n\t\t}"), "limits stored must be 1MiB to 1PiB, not 1024 bytes, at Caddyfile:4"},
	{global("limits {\n\t\t\tstored 0\n\t\t}"), "stored must be more than 0, at Caddyfile:4"},
	{global("limits {\n\t\t\trequests 10\n\t\t}"), "unrecognized limits option 'requests', at Caddyfile:4"},
	{global("retention 1m"), "retention must be 1h0m0s to 43920h0m0s, not 1m0s, at Caddyfile:3"},
	{global("retention -14d"), "not -336h0m0s, at Caddyfile:3"},
	{global("concurrency"), "wrong argument count or unexpected line ending after 'concurrency', at Caddyfile:3"},
	{global("concurrency 1 2 3"), "wrong argument count"},
	{global("concurrency 0"), "concurrency must be more than 0, at Caddyfile:3"},
	{global("concurrency 8 0"), "concurrency must be more than 0, at Caddyfile:3"},
	{global("concurrency many"), "'many' is not a whole number, at Caddyfile:3"},
	{global("concurrency 8 16"), "concurrency per webhook (16) must not be more than in all (8), at Caddyfile:3"},
	{global("max_event_size 17MiB"), "max_event_size must be 1 to 16777216 bytes, not 17825792, at Caddyfile:3"},
	{global("max_event_size 0"), "max_event_size must be more than 0, at Caddyfile:3"},
	{global("max_event_size big"), "'big' is not a size such as 16KiB or 1MiB, at Caddyfile:3"},
	{global("max_event_size -1"), "'-1' is not a size such as 16KiB or 1MiB, at Caddyfile:3"},
	{global("max_response_size 1GiB"), "max_response_size must be 0 to 16777216 bytes, not 1073741824, at Caddyfile:3"},
	{global("standard_webhooks yes"), "wrong argument count or unexpected line ending after 'yes', at Caddyfile:3"},
	{global("standard_webhooks\n\t\ttimeout 5s\n\t\tstandard_webhooks"), "standard_webhooks is given twice, at Caddyfile:5"},
	{global("signature_header \"X Signature\""), "signature_header must be the name of an HTTP header: letters, digits and hyphens, such as X-Level-Signature, at Caddyfile:3"},
	{global("signature_header content-type"), "signature_header must not be content-type, which means something else in a request: choose a name of your own, such as X-Example-Signature, at Caddyfile:3"},
	{global("signature_header \"\""), "signature_header is empty, at Caddyfile:3"},
	{global("event_types"), "wrong argument count or unexpected line ending after 'event_types', at Caddyfile:3"},
	{global("event_types a *"), "event_types: * accepts every name, so it must stand alone, at Caddyfile:3"},
	{global("event_types a b a"), "event_types: 'a' is given twice, at Caddyfile:3"},
	{global("event_types \"\""), "event_types: a value is empty, at Caddyfile:3"},
	{global("event_types " + strings.Repeat("x", 129)), "event_types: the name of an event type must have 1 to 128 bytes, at Caddyfile:3"},
	{global("event_types a\n\t\tevent_types b"), "event_types is given twice, at Caddyfile:4"},
	{global("event_type"), "wrong argument count or unexpected line ending after 'event_type', at Caddyfile:3"},
	{global("event_type a b"), "wrong argument count or unexpected line ending after 'event_type', at Caddyfile:3"},
	{global("event_type *"), "event_type: * cannot be an event type, at Caddyfile:3"},
	{global("event_type a\n\t\tevent_type a"), "event_type: 'a' is declared twice, at Caddyfile:4"},
	{global("event_type a {\n\t\t\tschema\n\t\t}"), "wrong argument count or unexpected line ending after 'schema', at Caddyfile:4"},
	{global("event_type a {\n\t\t\tdescription \"\"\n\t\t}"), "description is empty, at Caddyfile:4"},
	{global("event_type a {\n\t\t\texample b\n\t\t\texample c\n\t\t}"), "example is given twice, at Caddyfile:5"},
	{global("event_type a {\n\t\t\tdata b\n\t\t}"), "unrecognized event_type option 'data', at Caddyfile:4"},
	{global("retry"), "retry needs a block with at least one option, at Caddyfile:3"},
	{global("retry 3"), "wrong argument count or unexpected line ending after '3', at Caddyfile:3"},
	{global("retry {\n\t\t\tattempts 0\n\t\t}"), "attempts must be more than 0, at Caddyfile:4"},
	{global("retry {\n\t\t\tattempts -1\n\t\t}"), "retry attempts must be 1 to 100, not -1, at Caddyfile:4"},
	{global("retry {\n\t\t\tjitter 60s 1s\n\t\t}"), "retry jitter must go from the shorter duration to the longer, not from 1m0s to 1s, at Caddyfile:4"},
	{global("retry {\n\t\t\tjitter 60s\n\t\t}"), "wrong argument count or unexpected line ending after '60s', at Caddyfile:4"},
	{global("retry {\n\t\t\tdelay -2m\n\t\t}"), "retry delay must be 0 to 168h0m0s, not -2m0s, at Caddyfile:4"},
	{global("retry {\n\t\t\tdelays\n\t\t}"), "wrong argument count or unexpected line ending after 'delays', at Caddyfile:4"},
	{global("retry {\n\t\t\tdelays 5s soon\n\t\t}"), "'soon' is not a duration such as 15s, 2m or 14d, at Caddyfile:4"},
	{global("retry {\n\t\t\tdelays 5s 8d\n\t\t}"), "retry delay must be 0 to 168h0m0s, not 192h0m0s, at Caddyfile:4"},
	{global("retry {\n\t\t\tdelays" + strings.Repeat(" 1s", 31) + "\n\t\t}"), "retry delays must be 1 to 30, not 31, at Caddyfile:4"},
	{global("retry {\n\t\t\tdelays 5s\n\t\t\tdelay 5s\n\t\t}"), "retry takes delay or delays, not both, at Caddyfile:5"},
	{global("retry {\n\t\t\tretry_after 8d\n\t\t}"), "retry retry_after must be 0 to 168h0m0s, not 192h0m0s, at Caddyfile:4"},
	{global("retry {\n\t\t\tretry_after -1s\n\t\t}"), "retry retry_after must be 0 to 168h0m0s, not -1s, at Caddyfile:4"},
	{global("retry {\n\t\t\tbackoff 2\n\t\t}"), "unrecognized retry option 'backoff', at Caddyfile:4"},
	{global("destinations {\n\t\t\tallow 10.0.0.0/33\n\t\t}"), "'10.0.0.0/33' is not a range of addresses such as 10.0.0.0/8, at Caddyfile:4"},
	{global("destinations {\n\t\t\tdeny ::ffff:10.0.0.0/104\n\t\t}"), "is an IPv4 range inside IPv6: write it as an IPv4 range, at Caddyfile:4"},
	{global("destinations {\n\t\t\tallow\n\t\t}"), "wrong argument count or unexpected line ending after 'allow', at Caddyfile:4"},
	{global("destinations {\n\t\t\tports 443 0\n\t\t}"), "'0' is neither a port, 1 to 65535, nor a range of ports such as 8000-8999, at Caddyfile:4"},
	{global("destinations {\n\t\t\tports 9-8\n\t\t}"), "'9-8' is neither a port, 1 to 65535, nor a range of ports such as 8000-8999, at Caddyfile:4"},
	{global("destinations {\n\t\t\tallow hooks.internal\n\t\t}"), "'hooks.internal' is a host name, not a range of addresses: use allow_host, at Caddyfile:4"},
	{global("destinations {\n\t\t\tallow_host 10.0.0.1\n\t\t}"), "'10.0.0.1' is a range of addresses, not a host name: use allow, at Caddyfile:4"},
	{global("destinations {\n\t\t\tallow_host *\n\t\t}"), "'*' is not a host name such as hooks.internal or *.example.com, at Caddyfile:4"},
	{global("destinations {\n\t\t\tdeny a.*.example\n\t\t}"), "'a.*.example' is neither a range of addresses such as 10.0.0.0/8 nor a host name such as *.example.com, at Caddyfile:4"},
	{global("destinations {\n\t\t\tdeny 1.2.3.4/99\n\t\t}"), "'1.2.3.4/99' is not a range of addresses such as 10.0.0.0/8, at Caddyfile:4"},
	{global("destinations {\n\t\t\tnat64 64:ff9b::/96\n\t\t}"), "'64:ff9b::/96' overlaps 64:ff9b::/96, which needs no option, at Caddyfile:4"},
	{global("destinations {\n\t\t\tnat64 2001:db8::/95\n\t\t}"), "'2001:db8::/95' has 95 bits, but a prefix of NAT64 has 32, 40, 48, 56, 64 or 96, at Caddyfile:4"},
	{global("destinations {\n\t\t\tnat64 10.0.0.0/32\n\t\t}"), "'10.0.0.0/32' is not a range of IPv6, at Caddyfile:4"},
	{global("destinations {\n\t\t\tallow_http on\n\t\t}"), "wrong argument count or unexpected line ending after 'on', at Caddyfile:4"},
	{global("destinations {\n\t\t\tproxy proxy.internal:3128\n\t\t}"), "proxy is not a URL such as http://proxy.internal:3128, at Caddyfile:4"},
	{global("destinations {\n\t\t\tproxy ftp://proxy.internal\n\t\t}"), "proxy must be an http, https or socks5 URL, at Caddyfile:4"},
	{global("destinations {\n\t\t\tblock 10.0.0.0/8\n\t\t}"), "unrecognized destinations option 'block', at Caddyfile:4"},
	{global("encryption_key"), "wrong argument count or unexpected line ending after 'encryption_key', at Caddyfile:3"},
	{global("encryption_key {env.A} \"\""), "encryption_key: a value is empty, at Caddyfile:3"},
	{global("encryption_key {env.A}\n\t\tencryption_key hush"), "encryption_key: a key must be 32 bytes in base64 or hex, such as \"openssl rand -base64 32\" prints, at Caddyfile:4"},
	{global("store"), "wrong argument count or unexpected line ending after 'store', at Caddyfile:3"},
	{global("store nowhere"), "module not registered: webhooks.stores.nowhere, at Caddyfile:3"},
	{global("store redis redis://a:1\n\t\tstore redis redis://b:1"), "store is given twice, at Caddyfile:4"},
	{global("store redis://:hush@localhost:6379"), "store needs the name of a module first, such as \"store redis <URL>\" or \"store embedded <folder>\", at Caddyfile:3"},
	{global("store embedded /a /b"), "wrong argument count or unexpected line ending after '/b', at Caddyfile:3"},
	{global("store embedded \"\""), "store embedded: the folder is empty, at Caddyfile:3"},
	{global("store embedded /a {\n\t\t\tfolder /b\n\t\t}"), "store embedded has no options, at Caddyfile:3"},
	{global("store redis"), "store redis needs a redis:// or rediss:// URL, or a block with address, at Caddyfile:3"},
	{global("store redis http://localhost:6379"), "store redis: the URL must begin with redis:// or rediss://, at Caddyfile:3"},
	{global("store redis redis://:hush@localhost:x"), "store redis: the URL must be like redis://user:password@localhost:6379/0, at Caddyfile:3"},
	{global("store redis redis://:hush@localhost:6379?db=1"), "store redis: the URL must not have a query or a fragment, at Caddyfile:3"},
	{global("store redis redis://:hush@a:1 redis://:other@b:1"), "store redis: the URLs of one cluster must differ only in the address, at Caddyfile:3"},
	{global("store redis redis://a:1/1 redis://b:1/1"), "store redis: a cluster has only db 0, at Caddyfile:3"},
	{global("store redis {\n\t\t\taddress localhost\n\t\t}"), "an address must be a host and a port, such as localhost:6379, at Caddyfile:4"},
	{global("store redis {\n\t\t\taddress redis://:hush@localhost:6379/1\n\t\t}"), "an address must be a host and a port, such as localhost:6379, at Caddyfile:4"},
	{global("store redis {\n\t\t\tdb 1\n\t\t}"), "store redis: give a URL or an address, at Caddyfile:3"},
	{global("store redis redis://a:1 {\n\t\t\tdb 1\n\t\t}"), "store redis: a URL contains the address, username, password, db and tls: give either the URL or these options, at Caddyfile:3"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\tdb -1\n\t\t}"), "store redis: db must not be less than 0, but is -1, at Caddyfile:3"},
	{global("store redis {\n\t\t\taddress {env.A}\n\t\t\tpassword {env.B}\n\t\t\tpartitions 5000\n\t\t}"), "store redis: partitions must be 1 to 1024, not 5000, at Caddyfile:3"},
	{global("store redis {\n\t\t\taddress {env.A} {env.B}\n\t\t\tdb 1\n\t\t}"), "store redis: a cluster has only db 0, at Caddyfile:3"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\tpassword \"\"\n\t\t}"), "password is empty, at Caddyfile:5"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\tpartitions 0\n\t\t}"), "partitions must be more than 0, at Caddyfile:5"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\twait_replicas 0\n\t\t}"), "wait_replicas must be more than 0, at Caddyfile:5"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\twait_replicas 1 0\n\t\t}"), "the timeout of wait_replicas must be more than 0, at Caddyfile:5"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\twait_replicas 1 5s\n\t\t}"), "store redis: the timeout of wait_replicas must be 1ms to 4s, not 5s, at Caddyfile:3"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\ttls off\n\t\t}"), "wrong argument count or unexpected line ending after 'off', at Caddyfile:5"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\tpool 5\n\t\t}"), "unrecognized redis option 'pool', at Caddyfile:5"},
	{global("store redis {\n\t\t\tredis://:hush@a:1\n\t\t}"), "unrecognized redis option, at Caddyfile:4"},
	{global("store redis {\n\t\t\taddress a:1\n\t\t\tpassword hush two\n\t\t}"), "wrong argument count or unexpected line ending after 'password', at Caddyfile:5"},
	{"{\n\twebhooks on\n}\n", "wrong argument count or unexpected line ending after 'on', at Caddyfile:2"},
	{"{\n\twebhooks {\n\t}\n\twebhooks {\n\t}\n}\n", "the webhooks global option is given twice, at Caddyfile:4"},

	{site("nonsense"), "unrecognized webhooks option 'nonsense', at Caddyfile:3"},
	{site("emit_token"), "wrong argument count or unexpected line ending after 'emit_token', at Caddyfile:3"},
	{site("emit_token a b c"), "wrong argument count or unexpected line ending after 'emit_token', at Caddyfile:3"},
	{site("emit_token hush a/b"), "emit_token: its tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-', at Caddyfile:3"},
	{site("emit_token {env.A} a/b"), "emit_token: its tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-', at Caddyfile:3"},
	{site("admin_token_hash hush"), "admin_token_hash must be a SHA-256 in hex, which has 64 digits, at Caddyfile:3"},
	{site("emit_token_hash hush acme"), "emit_token_hash must be a SHA-256 in hex, which has 64 digits, at Caddyfile:3"},
	{site("viewer_token_hash " + strings.Repeat("0", 65)), "viewer_token_hash must be a SHA-256 in hex, which has 64 digits, at Caddyfile:3"},
	{site("viewer_token_hash e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "viewer_token_hash is the SHA-256 of an empty text: was the token there when you made it?, at Caddyfile:3"},
	{site("admin_token_hash {env.A} a/b"), "its tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-', at Caddyfile:3"},
	{site("admin_token hush \"\""), "admin_token: its tenant is empty, at Caddyfile:3"},
	{site("emit_token {$WEBHOOKS_TEST_EMPTY}"), "wrong argument count or unexpected line ending after 'emit_token', at Caddyfile:3"},
	{site("admin_token \"\""), "admin_token is empty, at Caddyfile:3"},
	{site("admin_token \"hush \""), "admin_token ends with white space: remove it, at Caddyfile:3"},
	{site("emit_token \"hush\n\""), "emit_token ends with a line break: remove it, at Caddyfile:3"},
	{site("emit_token hüsh"), "emit_token must have printable ASCII characters only, since clients send it in a header, at Caddyfile:3"},
	{site("emit_token {EMIT_TOKEN}\n\t\tnonsense"), "at Caddyfile:4"}, // the token is checked once placeholders are replaced
	{site("admin_user bob"), "admin_user must be one placeholder of the request, such as {http.auth.user.id}, at Caddyfile:3"},
	{site("admin_user x{http.auth.user.id}"), "admin_user must be one placeholder of the request"},
	{site("admin_user {env.USER}"), "admin_user must not be {env.USER}, which no authentication sets: use {http.auth.user.id}, a header"},
	{site("admin_user {client_ip}"), "admin_user must not be {http.vars.client_ip}, which no authentication sets"},
	{site("admin_user {http.auth.user.id}\n\t\tadmin_user {header.X-User}"), "admin_user is given twice, at Caddyfile:4"},
	{site("tenant two words"), "wrong argument count"},
	{site("tenant a/b"), "tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-', at Caddyfile:3"},
	{site("insecure_no_auth true"), "wrong argument count or unexpected line ending after 'true', at Caddyfile:3"},
	{"http://:8080 {\n\twebhooks now\n}\n", "wrong argument count or unexpected line ending after 'now', at Caddyfile:2"},
}

func TestAdaptErrors(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	t.Setenv("WEBHOOKS_TEST_PASSWORD", "hush")
	for _, tc := range adaptErrors {
		t.Run(tc.want, func(t *testing.T) {
			_, err := adapt(tc.caddyfile)
			switch {
			case err == nil:
				t.Fatalf("there is no error for\n%s", tc.caddyfile)
			case !strings.Contains(err.Error(), tc.want):
				t.Errorf("got %q", err)
			case !strings.Contains(err.Error(), "at Caddyfile:"):
				t.Errorf("the error does not name file and line: %q", err)
			case strings.Contains(err.Error(), "hush"):
				t.Errorf("the error contains a password: %q", err)
			}
		})
	}
}

func TestAdaptResolvesNumbers(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_TIMEOUT", "7s")
	adapted, err := adapt(global("timeout {env.WEBHOOKS_TEST_TIMEOUT}"))
	if err != nil || !strings.Contains(string(adapted), `"timeout":7000000000`) {
		t.Errorf("got %s, %v", adapted, err)
	}
}
