package caddymodule_test

import (
	"path/filepath"
	"regexp"
	"testing"
)

// TestDocumentedCaddyfiles has Caddy check each Caddyfile of the README and of docs, and its format.
func TestDocumentedCaddyfiles(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for _, name := range append(files, readmeFile) {
		for _, block := range regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$").FindAllStringSubmatch(document(t, name), -1) {
			found[filepath.Base(name)]++
			file := writeCaddyfile(t, block[1], nil)
			validate := caddyCommand(t, "validate", "--config", file)
			for _, variable := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(block[1], -1) {
				validate.Env = append(validate.Env, variable[1]+"=of-the-tests")
			}
			if out, err := validate.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", name, err, block[1], out)
			}
			if out, err := caddyCommand(t, "fmt", "--diff", file).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
	for _, name := range []string{"README.md", "gateway.md", "verifying.md"} {
		if found[name] == 0 {
			t.Errorf("%s has no Caddyfile", name)
		}
	}
}
