package caddymodule_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

func readme(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// readmeBlocks are the README's blocks of code in a language.
func readmeBlocks(t *testing.T, language string) []string {
	t.Helper()
	var blocks []string
	for _, block := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(readme(t), -1) {
		blocks = append(blocks, block[1])
	}
	if blocks == nil {
		t.Fatal("the README has no block of " + language)
	}
	return blocks
}

// TestReadmeCaddyfile has Caddy check the README's configuration.
func TestReadmeCaddyfile(t *testing.T) {
	t.Parallel()
	for _, block := range readmeBlocks(t, "caddyfile") {
		file := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(file, []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := caddyCommand(t, "validate", "--config", file).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// TestReadmeOptions holds the README's tables of options against the parsers.
func TestReadmeOptions(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(readme(t), "\n## Configure\n")
	section, _, _ = strings.Cut(section, "\n## ")
	documented := make(map[string]bool)
	for _, cell := range regexp.MustCompile(`(?m)^\|([^|]*)\|`).FindAllStringSubmatch(section, -1) {
		for _, code := range regexp.MustCompile("`([a-z_]+)[^`]*`").FindAllStringSubmatch(cell[1], -1) {
			documented[code[1]] = true
		}
	}
	parsed := parsedOptions(t)
	for name := range parsed {
		if !documented[name] {
			t.Errorf("the option %s is not in the README", name)
		}
	}
	for name := range documented {
		if !parsed[name] {
			t.Errorf("the README's option %s is none", name)
		}
	}
}

// parsedOptions are the options that the Caddyfile's parsers know, which are the
// keys of every map[string]option in the package.
func parsedOptions(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	options := make(map[string]bool)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, key := range optionKeys(n) {
				option, err := strconv.Unquote(key)
				if err != nil {
					t.Fatalf("%s: %s: %v", name, key, err)
				}
				options[option] = true
			}
			return true
		})
	}
	return options
}

// optionKeys are the keys of a node that is a literal map[string]option.
func optionKeys(n ast.Node) []string {
	literal, ok := n.(*ast.CompositeLit)
	if !ok {
		return nil
	}
	kind, ok := literal.Type.(*ast.MapType)
	if !ok {
		return nil
	}
	if value, ok := kind.Value.(*ast.Ident); !ok || value.Name != "option" {
		return nil
	}
	var keys []string
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.BasicLit); ok {
				keys = append(keys, key.Value)
			}
		}
	}
	return keys
}

// TestReadmeCalls holds the README's table of calls against the routes.
func TestReadmeCalls(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]+ api/[^`]*)` \\|").FindAllStringSubmatch(readme(t), -1) {
		documented = append(documented, strings.ReplaceAll(row[1], "{id}", "*"))
	}
	wantCalls(t, documented)
}

// wantCalls fails the test unless these are all calls of the API.
func wantCalls(t *testing.T, got []string) {
	t.Helper()
	slices.Sort(got)
	want, err := openapitest.Operations()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
