package webhooks_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	modulePath = "github.com/caddy-webhooks/caddy-webhooks"
	caddyPath  = "github.com/caddyserver/caddy/v2"
)

// run runs a command in a folder and gives what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	var errors bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stderr = dir, &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &errors)
	}
	return string(out)
}

// list is what "go list" says of packages in a format, by line.
func list(t *testing.T, format string, args ...string) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(run(t, ".", "go", append([]string{"list", "-f", format}, args...)...)), "\n")
}

// TestRootPackage holds the root package to its one import: xcaddy takes it for
// all there is.
func TestRootPackage(t *testing.T) {
	t.Parallel()
	if got := list(t, `{{.ImportPath}} {{join .Imports " "}}`, "."); !slices.Equal(got, []string{modulePath + " " + modulePath + "/caddymodule"}) {
		t.Errorf("got %q", got)
	}
}

// TestImportsPointOneWay looks at everything that packages import, directly or not:
// caddymodule uses the API, the API the engine, the engine the sender, and never the
// other way round. Only caddymodule knows Caddy.
func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	const caddyserver = "github.com/caddyserver/"
	for packages, forbidden := range map[string][]string{
		"./api/...":         {caddyserver, modulePath + "/caddymodule"},
		"./delivery/...":    {caddyserver, modulePath + "/caddymodule", modulePath + "/api"},
		"./delivery/sender": {caddyserver, modulePath},
	} {
		own := list(t, "{{.ImportPath}}", packages)
		for _, path := range list(t, "{{.ImportPath}}", "-deps", packages) {
			if !slices.Contains(own, path) && slices.ContainsFunc(forbidden, func(prefix string) bool { return strings.HasPrefix(path, prefix) }) {
				t.Errorf("%s imports %s", packages, path)
			}
		}
	}
}

// builder is xcaddy.Builder as far as its JSON form is anybody's contract.
type builder struct {
	CaddyVersion string `json:"caddy_version"`
	Plugins      []struct {
		ModulePath string `json:"module_path"`
		Version    string `json:"version"`
	} `json:"plugins"`
	Replacements []struct {
		Old string `json:"old"`
		New string `json:"new"`
	} `json:"replacements"`
}

func readBuilder(t *testing.T) builder {
	t.Helper()
	raw, err := os.ReadFile("xcaddy.json")
	if err != nil {
		t.Fatal(err)
	}
	var b builder
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		t.Fatalf("xcaddy.json: %v", err)
	}
	return b
}

// TestXcaddy builds Caddy from xcaddy.json, and from this folder too, as xcaddy
// does: by a main package, in a module of its own, that imports the plugins.
func TestXcaddy(t *testing.T) {
	t.Parallel()
	b := readBuilder(t)
	if got := list(t, "{{.Version}}", "-m", caddyPath); len(b.Plugins) == 0 || b.CaddyVersion != got[0] {
		t.Errorf("xcaddy.json is %+v, and the tests are of Caddy %s", b, got[0])
	}
	dir := t.TempDir()
	main := "package main\n\nimport (\n\tcaddycmd \"" + caddyPath + "/cmd\"\n\t_ \"" + caddyPath + "/modules/standard\"\n\t_ \"" + modulePath + "\"\n"
	for _, plugin := range b.Plugins {
		main += "\t_ \"" + plugin.ModulePath + "\"\n"
	}
	main += ")\n\nfunc main() { caddycmd.Main() }\n"
	edits := []string{"mod", "edit", "-require", caddyPath + "@" + b.CaddyVersion, "-require", modulePath + "@v0.0.0"}
	for _, replacement := range b.Replacements {
		path, err := filepath.Abs(replacement.New)
		if err != nil {
			t.Fatal(err)
		}
		edits = append(edits, "-replace", replacement.Old+"="+path)
	}
	sums, err := os.ReadFile("go.sum") // of the same modules, so that none is asked for again
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"main.go": []byte(main), "go.sum": sums} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, "go", "mod", "init", "caddy")
	run(t, dir, "go", edits...)
	run(t, dir, "go", "build", "-mod=mod", "-o", "caddy", ".")
	if modules := strings.Fields(run(t, dir, "./caddy", "list-modules", "--skip-standard")); !slices.Contains(modules, "http.handlers.webhooks") {
		t.Errorf("its modules are %q", modules)
	}
}
