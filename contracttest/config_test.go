package contracttest

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// runCaddy runs a Caddy command to its end, and returns what it printed.
func runCaddy(t testing.TB, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), caddyBinary, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// caddy runs a Caddy command on a Caddyfile.
func caddy(t testing.TB, command, text string) (string, error) {
	t.Helper()
	return runCaddy(t, command, "--config", caddyfile(t, text), "--adapter", "caddyfile")
}

func caddyfile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// everyOption is an unformatted Caddyfile with all options of the contract, except
// those of stores.
func everyOption(t testing.TB, store string) string {
	return `{
admin off
webhooks {
` + store + `
event_types alert_active  "invoice paid" # quoted
	signature_header X-Level-Signature
		standard_webhooks
	retry {
	attempts 3
	delay 2m
jitter 1s 60s
}
timeout 15s
concurrency 512 32
retention 14d
max_event_size 1MiB
max_response_size 16KiB
destinations {
allow_http
allow 127.0.0.0/8 10.0.0.0/8
deny 198.51.100.0/24
proxy http://127.0.0.1:3128
trusted_ca ` + certificateFile(t) + `
}
audit
}
}

http://127.0.0.1:1 {
handle_path /hooks/* {
webhooks {
emit_token {env.EMIT_TOKEN}
emit_token {env.OLD_TOKEN}
admin_token {env.ADMIN_TOKEN}
admin_user {http.auth.user.id}
tenant {header.X-Tenant}
insecure_no_auth
}
}
}
`
}

// TestCommands runs the commands that touch no store, and watches the store for
// connections.
func TestCommands(t *testing.T) {
	t.Parallel()
	store := httptest.NewUnstartedServer(nil)
	store.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			t.Error("the store was touched")
		}
	}
	store.Start()
	defer store.Close()
	text := everyOption(t, "store redis redis://"+store.Listener.Addr().String())
	before, err := caddy(t, "adapt", text)
	if err != nil || adapted(before) == "" {
		t.Fatalf("adapt: %v: %s", err, before)
	}
	if out, err := caddy(t, "validate", text); err != nil {
		t.Errorf("validate: %v: %s", err, out)
	}
	file := caddyfile(t, text)
	if out, err := runCaddy(t, "fmt", "--overwrite", file); err != nil {
		t.Fatalf("fmt: %v: %s", err, out)
	}
	formatted, err := os.ReadFile(file)
	if err != nil || string(formatted) == text {
		t.Errorf("fmt changed nothing, or %v", err)
	}
	if after, err := caddy(t, "adapt", string(formatted)); err != nil || adapted(after) != adapted(before) {
		t.Errorf("after fmt it adapts to\n%s\n%v, before it adapted to\n%s", after, err, before)
	}
}

// adapted is the JSON that caddy adapt printed: the one line that begins with the apps
// or the admin option.
func adapted(out string) string {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, `{"admin"`) || strings.HasPrefix(line, `{"apps"`) {
			return line
		}
	}
	return ""
}

func TestBadConfiguration(t *testing.T) {
	t.Parallel()
	app := func(options string) string { return "{\n\twebhooks {\n" + options + "\n\t}\n}\n:1 {\n\trespond x\n}\n" }
	mount := func(options string) string {
		return ":1 {\n\troute {\n\twebhooks {\n" + options + "\n\t}\n\t}\n}\n"
	}
	for _, text := range []string{
		app("nothing 1"), app("store"), app("store nothing"), app("store redis"), app("store redis redis://a:1\nstore redis redis://a:1"),
		app("event_types"), app("signature_header"), app("signature_header a b"), app("signature_header X-A\nsignature_header X-B"),
		app("standard_webhooks x"), app("timeout -1s"), app("timeout 0s"), app("timeout x"), app("timeout"), app("timeout 1s\ntimeout 2s"),
		app("retry {\nattempts 0\n}"), app("retry {\nattempts -1\n}"), app("retry {\nattempts x\n}"), app("retry {\nattempts 1\nattempts 2\n}"),
		app("retry {\njitter 60s 1s\n}"), app("retry {\njitter -1s 1s\n}"), app("retry {\ndelay -1s\n}"), app("retry {\nnothing\n}"),
		app("concurrency 0"), app("concurrency 1 0"), app("concurrency x"), app("concurrency"), app("retention 0s"), app("retention -1d"),
		app("max_event_size x"), app("max_event_size"), app("max_response_size -1"), app("destinations {\nallow x\n}"), app("destinations {\ndeny 1.2.3.4/99\n}"),
		app("destinations {\nallow\n}"), app("destinations {\nproxy\n}"), app("destinations {\ntrusted_ca\n}"), app("destinations {\nnothing\n}"),
		app("destinations {\nallow_http x\n}"), app("store redis {\ndb x\n}"), app("store redis {\nnothing\n}"), app("store redis {\npartitions 0\naddress a:1\n}"),
		mount("nothing"), mount("emit_token"), mount("admin_token"), mount("admin_token a b c"), mount("admin_token a b/c"), mount("admin_user ada"), mount("admin_user"),
		mount("tenant"), mount("tenant a\ntenant b"), mount("tenant a/b"), mount("insecure_no_auth x"),
		mount("admin_user {http.auth.user.id}\nadmin_user {http.auth.user.id}"),
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			out, err := caddy(t, "adapt", text)
			if err == nil {
				t.Fatalf("adapted: %s", out)
			}
			if !regexp.MustCompile(`Caddyfile:[0-9]+`).MatchString(out) {
				t.Errorf("the error does not name file and line: %s", out)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	// Nothing listens there, and validate must not connect.
	const store = "store redis redis://127.0.0.1:1"
	const token = "admin_token {env.ADMIN_TOKEN}"
	for _, test := range []struct {
		app, mount string
		ok         bool
	}{
		{store, token, true},
		{store, "admin_token {env.EMPTY}", false},
		{store, "emit_token {env.EMPTY}", false},
		{store, "emit_token {env.NOT_SET}\n" + token, false},
		{store, "emit_token {file./does/not/exist}\n" + token, false},
		{store, `admin_token ""`, false},
		{store + " {\nkey_prefix {env.ADMIN_TOKEN}\n}", token, true},
		{store + " {\nkey_prefix {env.EMPTY}\n}", token, false},
		{"store redis {\naddress 127.0.0.1:1\npassword {env.ADMIN_TOKEN}\n}", token, true},
		{"store redis {\naddress 127.0.0.1:1\npassword {env.EMPTY}\n}", token, false},
		{"store redis redis://:{env.EMPTY}@127.0.0.1:1", token, false},
	} {
		t.Run(test.app+" "+test.mount, func(t *testing.T) {
			t.Parallel()
			text := "{\n\tadmin off\n\twebhooks {\n" + test.app + "\n\t}\n}\nhttp://127.0.0.1:1 {\n\troute {\n\t\twebhooks {\n" + test.mount + "\n}\n\t}\n}\n"
			out, err := caddy(t, "validate", text)
			if (err == nil) != test.ok {
				t.Errorf("%v: %s", err, out)
			}
			if !test.ok && !strings.Contains(out, "empty") {
				t.Errorf("the error does not say that something is empty: %s", out)
			}
		})
	}
}

// TestModules checks that cmd/caddy has the modules of a stock Caddy, and ours.
func TestModules(t *testing.T) {
	t.Parallel()
	all, err := runCaddy(t, "list-modules")
	if err != nil {
		t.Fatalf("%v: %s", err, all)
	}
	ours, err := runCaddy(t, "list-modules", "--skip-standard")
	if err != nil {
		t.Fatalf("%v: %s", err, ours)
	}
	for _, id := range []string{"http", "tls", "http.handlers.reverse_proxy", "http.handlers.file_server", "http.authentication.providers.http_basic", "tls.issuance.acme"} {
		if !slices.Contains(strings.Fields(all), id) || slices.Contains(strings.Fields(ours), id) {
			t.Errorf("this is not a stock Caddy: %s is not among its standard modules", id)
		}
	}
	for _, id := range []string{"webhooks", "http.handlers.webhooks", "webhooks.stores.redis", "webhooks.stores.embedded"} {
		if !slices.Contains(strings.Fields(ours), id) {
			t.Errorf("%s is not in\n%s", id, ours)
		}
	}
}
