package caddymodule_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	example = "../Caddyfile.example"

	// password of the person who may log in, and a hash of it.
	password     = "password-of-the-tests"
	passwordHash = "$2a$04$eHzyrhx0q2GtWRArwxDR9.cOhTjBYrjAETzHWVL.SEuT0WDuVI8oW"
)

// caddyCommand makes a process that runs the command caddy.
func caddyCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asCaddy+"=1", "EMIT_TOKEN="+emitToken, "ADMIN_TOKEN="+adminToken, "ADMIN_HASH="+passwordHash)
	return cmd
}

// TestExampleCommands runs the commands that people run before they start Caddy. They
// need no store.
func TestExampleCommands(t *testing.T) {
	t.Parallel()
	if out, err := caddyCommand(t, "validate", "--adapter", "caddyfile", "--config", example).CombinedOutput(); err != nil {
		t.Errorf("validate: %v\n%s", err, out)
	}
	out, err := caddyCommand(t, "adapt", "--adapter", "caddyfile", "--config", example).Output()
	if err != nil {
		t.Errorf("adapt: %v\n%s", err, out)
	}
	for name, secret := range map[string]string{"EMIT_TOKEN": emitToken, "ADMIN_TOKEN": adminToken} {
		if !bytes.Contains(out, []byte(`"{env.`+name+`}"`)) || bytes.Contains(out, []byte(secret)) {
			t.Errorf("adapt does not keep the placeholder of %s:\n%s", name, out)
		}
	}
	want, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := caddyCommand(t, "fmt", example).Output(); err != nil || !bytes.Equal(out, want) {
		t.Errorf("fmt: %v\n%s", err, out)
	}
	for variable, want := range map[string]string{
		"EMIT_TOKEN=":          "emit_token is empty: {env.EMIT_TOKEN} has no value",
		"ADMIN_TOKEN=":         "admin_token is empty: {env.ADMIN_TOKEN} has no value",
		"ADMIN_TOKEN=secret\n": "admin_token ends with a line break, which comes from {env.ADMIN_TOKEN}",
	} {
		cmd := caddyCommand(t, "validate", "--adapter", "caddyfile", "--config", example)
		cmd.Env = append(cmd.Env, variable)
		if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte(want)) {
			t.Errorf("validate with %q: %v\n%s", variable, err, out)
		}
	}
	if out, err := caddyCommand(t, "list-modules").Output(); err != nil || !bytes.Contains(out, []byte("http.handlers.webhooks")) || !bytes.Contains(out, []byte("webhooks.stores.redis")) || !bytes.Contains(out, []byte("webhooks.stores.embedded")) {
		t.Errorf("list-modules: %v\n%s", err, out)
	}
}

// TestExampleRuns runs the example, changed in its ports only, and calls it as its users
// do, with the mistakes that they make.
func TestExampleRuns(t *testing.T) {
	t.Parallel()
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "the product at ", r.URL.Path)
	}))
	defer product.Close()
	site := "http://" + freeAddr(t)
	file := exampleWith(t, map[string]string{
		"http://localhost:8080 {": site + " {",
		"admin localhost:2019":    "admin " + freeAddr(t),
		"localhost:3000":          product.Listener.Addr().String(),
	})
	hash, err := caddyCommand(t, "hash-password", "--plaintext", password, "--bcrypt-cost", "4").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := caddyCommand(t, "run", "--config", file)
	data := t.TempDir()
	cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+data, "ADMIN_HASH="+strings.TrimSpace(string(hash)))
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Caddy to be ready", func() bool {
		got, err := try(http.MethodGet, site+"/hooks/api/health", "")
		return err == nil && got.status == http.StatusOK
	})
	callExample(t, site)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, output.String())
	}
	if _, err := os.Stat(filepath.Join(data, "caddy", "webhooks", "webhooks.db")); err != nil {
		t.Errorf("the store is not where it should be: %v", err)
	}
	for _, secret := range []string{emitToken, adminToken, password} {
		if strings.Contains(output.String(), secret) {
			t.Errorf("%s is in the log:\n%s", secret, output.String())
		}
	}
}

// exampleWith makes a copy of the example with some texts replaced, each of which must be
// there exactly once.
func exampleWith(t *testing.T, replaced map[string]string) string {
	t.Helper()
	raw, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for from, to := range replaced {
		if strings.Count(text, from) != 1 {
			t.Fatalf("%q is not in the example exactly once", from)
		}
		text = strings.Replace(text, from, to, 1)
	}
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The challenges for credentials, by who makes them.
const (
	byLogin    = `Basic realm="restricted"` // the example's basic_auth
	byWebhooks = `Bearer, Basic realm="webhooks", charset="UTF-8"`
)

const exampleEvent = `{"event_type":"device_created","data":{}}`

// asPerson is the header of the person who may log in.
var asPerson = asBasic("admin", password)

// exampleCalls are calls of those who use the example, and what they are answered.
var exampleCalls = []struct {
	who, auth          string
	method, path, body string
	want               int
	challenge, answer  string
}{
	{"anyone", "", "GET", "/", "", 200, "", "the product at /"},
	{"anyone", "", "GET", "/api/webhooks", "", 200, "", "the product at /api/webhooks"},
	{"anyone", "", "GET", "/hooks/api/health", "", 200, "", `{"status":"ok"}`},
	{"anyone", "", "GET", "/hooks/api/openapi.json", "", 200, "", `"openapi"`},
	{"anyone", "", "GET", "/hooks/api/webhooks", "", 401, byLogin, ""},
	{"anyone", "", "GET", "/hooks/", "", 401, byLogin, ""},
	{"anyone", "", "POST", "/hooks/api/events", exampleEvent, 401, byLogin, ""},
	{"anyone", "", "GET", "/hooks/api/nothing", "", 401, byLogin, ""},
	{"anyone by a detour", "", "GET", "/hooks/api/health/../webhooks", "", 401, byLogin, ""},
	{"anyone by a detour", "", "GET", "/hooks/api/health%2f..%2fwebhooks", "", 401, byLogin, ""},
	{"anyone by a detour", "", "GET", "/hooks//api/webhooks", "", 401, byLogin, ""},
	{"anyone by a detour", "", "GET", "/hooks/api/Health", "", 404, "", ""},

	{"product", asEmitter, "POST", "/hooks/api/events", exampleEvent, 202, "", `"deliveries":0`},
	{"product, scheme in lower case", "bearer " + emitToken, "POST", "/hooks/api/events", exampleEvent, 202, "", ""},
	{"product", asEmitter, "GET", "/hooks/api/webhooks", "", 403, "", "admin token"},
	{"product", asEmitter, "GET", "/hooks/api/health", "", 200, "", ""},
	{"product, token as password", asBasic("admin", emitToken), "POST", "/hooks/api/events", exampleEvent, 401, byLogin, ""},

	{"script", "Bearer " + adminToken, "GET", "/hooks/api/webhooks", "", 200, "", `{"data":[]}`},
	{"script, token as password", asBasic("admin", adminToken), "GET", "/hooks/api/webhooks", "", 401, byLogin, ""},

	{"person", asPerson, "GET", "/hooks/api/webhooks", "", 200, "", `{"data":[]}`},
	{"person", asPerson, "GET", "/hooks/", "", 200, "", "<title>Webhooks</title>"},
	{"person", asPerson, "GET", "/hooks", "", 200, "", "<title>Webhooks</title>"},
	{"person", asPerson, "POST", "/hooks/api/events", exampleEvent, 202, "", ""},
	{"person", asPerson, "GET", "/hooks/api/health", "", 200, "", ""},
	{"person, wrong password", asBasic("admin", "guess"), "GET", "/hooks/api/webhooks", "", 401, byLogin, ""},
	{"person, wrong password", asBasic("admin", "guess"), "GET", "/hooks/api/health", "", 401, byLogin, ""},
	{"person, no password", asBasic("admin", ""), "GET", "/hooks/api/webhooks", "", 401, byLogin, ""},

	{"wrong token", "Bearer " + "guess", "GET", "/hooks/api/webhooks", "", 401, byWebhooks, ""},
	{"wrong token", "Bearer " + "guess", "POST", "/hooks/api/events", exampleEvent, 401, byWebhooks, ""},
	{"empty token", "Bearer ", "GET", "/hooks/api/webhooks", "", 401, byWebhooks, ""},
	{"password as token", "Bearer " + password, "GET", "/hooks/api/webhooks", "", 401, byWebhooks, ""},
	{"login as token", "Bearer" + asPerson, "GET", "/hooks/api/webhooks", "", 401, byWebhooks, ""},
	{"token without its scheme", adminToken, "GET", "/hooks/api/webhooks", "", 401, byLogin, ""},
}

func callExample(t *testing.T, site string) {
	for _, tc := range exampleCalls {
		var headers []string
		if tc.auth != "" {
			headers = []string{"Authorization", tc.auth}
		}
		got, err := try(tc.method, site+tc.path, tc.body, headers...)
		if err != nil || got.status != tc.want {
			t.Errorf("%s: %s %s: got %d, %v, want %d: %s", tc.who, tc.method, tc.path, got.status, err, tc.want, got.body)
		}
		if challenge := strings.Join(got.header.Values("WWW-Authenticate"), ", "); challenge != tc.challenge {
			t.Errorf("%s: %s %s: got the challenge %q", tc.who, tc.method, tc.path, challenge)
		}
		if !strings.Contains(string(got.body), tc.answer) {
			t.Errorf("%s: %s %s: got %s", tc.who, tc.method, tc.path, got.body)
		}
	}
}
