package api_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// TestGeneratedClients has two generators make clients of the OpenAPI document as it is.
// They compile, and emit, create, change and list against the API itself.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	document, err := openapitest.Raw()
	if err != nil {
		t.Fatal(err)
	}
	for name, generate := range map[string][]string{
		"ogen":        {"ogen", "--config", "ogen/ogen.yml", "--package", "gen", "--target", "ogen/gen", "openapi.json"},
		"oapicodegen": {"oapi-codegen", "-generate", "types,client", "-package", "gen", "-o", "oapicodegen/gen/gen.go", "openapi.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint := newReceiver(t)
			s := start(t, newConfig().withLoopback())
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "clients"))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "openapi.json"), document, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(dir, name, "gen"), 0o700); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{append([]string{"tool"}, generate...), {"run", "-trimpath", "./" + name, s.url + "/hooks", "admin", endpoint.URL}} {
				cmd := exec.CommandContext(t.Context(), "go", args...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go %v: %v\n%s", args, err, out)
				}
			}
		})
	}
}
