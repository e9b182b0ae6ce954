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

const readmeFile = "../README.md"

func document(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func readme(t *testing.T) string {
	t.Helper()
	return document(t, readmeFile)
}

// section is what stands under a heading of a document, which begins with its number signs, up
// to the next heading of that level or a higher one.
func section(t *testing.T, file, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(document(t, file), "\n"+heading+"\n")
	if !found {
		t.Fatalf("%s has no section %s", file, heading)
	}
	level := strings.Count(heading[:strings.Index(heading, " ")], "#")
	if end := regexp.MustCompile(`\n#{2,` + strconv.Itoa(level) + `} `).FindStringIndex(text); end != nil {
		text = text[:end[0]]
	}
	return text
}

// blocks are the blocks of code in a language that stand under a heading of a document.
func blocks(t *testing.T, file, heading, language string) []string {
	t.Helper()
	var all []string
	for _, block := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(section(t, file, heading), -1) {
		all = append(all, block[1])
	}
	if all == nil {
		t.Fatalf("the section %s of %s has no block of %s", heading, file, language)
	}
	return all
}

// readmeSection is what stands under a heading of the README.
func readmeSection(t *testing.T, heading string) string {
	t.Helper()
	return section(t, readmeFile, "## "+heading)
}

// readmeBlocks are the blocks of code in a language that stand under a heading of the
// README.
func readmeBlocks(t *testing.T, heading, language string) []string {
	t.Helper()
	return blocks(t, readmeFile, "## "+heading, language)
}

// writeCaddyfile writes a Caddyfile of a document in which some texts, each of which
// must be there, are replaced, and the folders with secrets and files by one that has the
// tests' tokens, other secrets, and JSON, or is for logs.
func writeCaddyfile(t *testing.T, text string, replaced map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{
		"emit_token": emitToken + "\n", "admin_token": adminToken + "\n",
		"webhooks_key": strings.Repeat("ab", 32) + "\n",
	}
	for _, name := range regexp.MustCompile(`/run/secrets/(\w+)`).FindAllStringSubmatch(text, -1) {
		if files[name[1]] == "" {
			files[name[1]] = name[1] + "-of-the-tests\n"
		}
	}
	for _, name := range regexp.MustCompile(`/etc/caddy/([\w.]+\.json)`).FindAllStringSubmatch(text, -1) {
		files[name[1]] = "{}\n"
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range replaced {
		if !strings.Contains(text, from) {
			t.Fatalf("%q is not in the document's Caddyfile:\n%s", from, text)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	text = strings.NewReplacer("/run/secrets", dir, "/etc/caddy", dir, "/var/log/caddy", dir).Replace(text)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestReadmeOptions holds the README's tables of options against the parsers.
func TestReadmeOptions(t *testing.T) {
	t.Parallel()
	section := readmeSection(t, "Configure")
	documented := make(map[string]bool)
	for _, cell := range regexp.MustCompile(`(?m)^\|([^|]*)\|`).FindAllStringSubmatch(section, -1) {
		for _, code := range regexp.MustCompile("`([a-z_][a-z0-9_]*)[^`]*`").FindAllStringSubmatch(cell[1], -1) {
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
		documented = append(documented, strings.NewReplacer("{id}", "*", "{webhook_id}", "*").Replace(row[1]))
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
