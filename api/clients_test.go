package api_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// TestGeneratedClients has two generators make clients of the OpenAPI document as it is.
// They compile, and emit, create, change and list against the API itself.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	plain := api.DeclaredType{Name: "group_created", Schema: file(`{"type":"object","properties":{"n":{"type":"number"},"of":{"type":["string","null"]}}}`)}
	// With a schema like this, oapi-codegen needs its option skip-prune.
	recursive := api.DeclaredType{Name: "group_updated", Schema: file(`{"type":"object","properties":{"in":{"$ref":"#/$defs/group"}},"$defs":{"group":{"type":"object","properties":{"in":{"$ref":"#/$defs/group"}}}}}`)}
	for name, tc := range map[string]struct {
		generate []string
		declared []api.DeclaredType
	}{
		"ogen": {
			[]string{"ogen", "--config", "ogen/ogen.yml", "--package", "gen", "--target", "ogen/gen", "openapi.json"},
			[]api.DeclaredType{plain, recursive},
		},
		"oapicodegen": {
			[]string{"oapi-codegen", "-generate", "types,client", "-package", "gen", "-o", "oapicodegen/gen/gen.go", "openapi.json"},
			[]api.DeclaredType{plain},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint := newReceiver(t)
			c := newConfig().withLoopback()
			c.eventTypes, c.declared = []string{"alert_active", "alert_resolved", "device_created", "device_deleted", "device_updated", "group_created", "group_deleted", "group_updated"}, tc.declared
			s := start(t, c)
			document := s.do("GET", "/hooks/api/openapi.json", "").body
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
			for _, args := range [][]string{append([]string{"tool"}, tc.generate...), {"run", "-trimpath", "./" + name, s.url + "/hooks", "admin", endpoint.URL}} {
				cmd := exec.CommandContext(t.Context(), "go", args...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOWORK=off", "GOFLAGS=")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go %v: %v\n%s", args, err, out)
				}
			}
		})
	}
}
