package caddymodule_test

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

const example = "../Caddyfile.example"

// caddyCommand is the command caddy, as a process.
func caddyCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asCaddy+"=1", "EMIT_TOKEN="+emitToken, "ADMIN_TOKEN="+adminToken)
	return cmd
}

// TestExampleCommands runs what people run before they start Caddy. No store is
// there.
func TestExampleCommands(t *testing.T) {
	if out, err := caddyCommand(t, "validate", "--adapter", "caddyfile", "--config", example).CombinedOutput(); err != nil {
		t.Errorf("validate: %v\n%s", err, out)
	}
	out, err := caddyCommand(t, "adapt", "--adapter", "caddyfile", "--config", example).Output()
	if err != nil || !bytes.Contains(out, []byte(`"{env.EMIT_TOKEN}"`)) || bytes.Contains(out, []byte(emitToken)) {
		t.Errorf("adapt: %v\n%s", err, out)
	}
	want, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := caddyCommand(t, "fmt", example).Output(); err != nil || !bytes.Equal(out, want) {
		t.Errorf("fmt: %v\n%s", err, out)
	}
	cmd := caddyCommand(t, "validate", "--adapter", "caddyfile", "--config", example)
	cmd.Env = append(cmd.Env, "EMIT_TOKEN=")
	if out, err := cmd.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("emit_token is empty")) {
		t.Errorf("validate with an empty token: %v\n%s", err, out)
	}
	if out, err := caddyCommand(t, "list-modules").Output(); err != nil || !bytes.Contains(out, []byte("http.handlers.webhooks")) || !bytes.Contains(out, []byte("webhooks.stores.redis")) {
		t.Errorf("list-modules: %v\n%s", err, out)
	}
}

// TestExampleRuns runs the example as it is but for its ports.
func TestExampleRuns(t *testing.T) {
	redis := redistest.Start(t)
	raw, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	site, admin := freeAddr(t), freeAddr(t)
	text := strings.NewReplacer("localhost:8080 {", site+" {", "admin localhost:2019", "admin "+admin).Replace(string(raw))
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := caddyCommand(t, "run", "--config", file)
	cmd.Env = append(cmd.Env, "WEBHOOKS_REDIS=redis://"+redis.Addr)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Caddy to be ready", func() bool {
		got, err := try(http.MethodGet, "http://"+site+"/hooks/api/health", "")
		return err == nil && got.status == http.StatusOK
	})
	got, err := try(http.MethodPost, "http://"+site+"/hooks/api/events", `{"event_type":"device_created","data":{}}`, "Authorization", asEmitter)
	if err != nil || got.status != http.StatusAccepted {
		t.Errorf("got %d, %v: %s", got.status, err, got.body)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, output.String())
	}
	if strings.Contains(output.String(), emitToken) || strings.Contains(output.String(), adminToken) {
		t.Errorf("a token in the log:\n%s", output.String())
	}
}
