package contracttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// caddy runs a command of Caddy on a Caddyfile.
func caddy(t testing.TB, command, text string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), caddyBinary, command, "--config", file, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), environment...)
	cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
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
		mount("nothing"), mount("emit_token"), mount("admin_token"), mount("admin_token a b"), mount("admin_user ada"), mount("admin_user"),
		mount("tenant"), mount("tenant a\ntenant b"), mount("tenant a/b"), mount("insecure_no_auth x"),
		mount("admin_user {http.auth.user.id}\nadmin_user {http.auth.user.id}"),
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			out, err := caddy(t, "adapt", text)
			if err == nil {
				t.Fatalf("adapted: %s", out)
			}
			if !strings.Contains(out, "Caddyfile:") {
				t.Errorf("names no file and line: %s", out)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		options string
		ok      bool
	}{
		{"admin_token {env.ADMIN_TOKEN}", true},
		{"admin_token {env.EMPTY}", false},
		{"emit_token {env.EMPTY}", false},
		{"emit_token {env.NOT_SET}\nadmin_token {env.ADMIN_TOKEN}", false},
		{`admin_token ""`, false},
	} {
		t.Run(test.options, func(t *testing.T) {
			t.Parallel()
			// Nothing listens there, and validate is not to look.
			text := "{\n\tadmin off\n\twebhooks {\n\t\tstore redis redis://127.0.0.1:1\n\t}\n}\nhttp://127.0.0.1:1 {\n\troute {\n\t\twebhooks {\n" + test.options + "\n}\n\t}\n}\n"
			out, err := caddy(t, "validate", text)
			if (err == nil) != test.ok {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
