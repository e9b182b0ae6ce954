package webhooks_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// runbook is what people read whom an alert has woken.
const runbook = "docs/operations.md"

// TestRunbook holds the runbook to what admins can come upon: each line that the log can
// have at level ERROR, each sentence of health, and each metric.
func TestRunbook(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(runbook)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(raw)), " ")
	found := make(map[string]int)
	for _, file := range sources(t, "api", "caddymodule", "delivery") {
		for _, look := range []struct {
			kind  string
			texts func(*source) []string
		}{{"ERROR of the log", errorLines}, {"sentence of health", healthSentences}, {"metric", metricNames}} {
			for _, want := range look.texts(file) {
				found[look.kind]++
				if !strings.Contains(text, want) {
					t.Errorf("%s does not have this %s, of %s:\n%s", runbook, look.kind, file.path, want)
				}
			}
		}
	}
	// A change of how these are written must not blind the test.
	for kind, least := range map[string]int{"ERROR of the log": 5, "sentence of health": 5, "metric": 10} {
		if found[kind] < least {
			t.Errorf("found only %d of %s", found[kind], kind)
		}
	}
}

// source is one Go file.
type source struct {
	t    *testing.T
	path string
	file *ast.File
}

// sources parses the Go files in folders, without tests and what helps tests.
func sources(t *testing.T, folders ...string) (all []*source) {
	t.Helper()
	helpers := []string{"storetest", "redistest", "flaky", "testdata"}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && slices.Contains(helpers, entry.Name()):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			all = append(all, &source{t, filepath.ToSlash(path), file})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// calls calls found for each call of a function or method with the name.
func (s *source) calls(found func(of ast.Expr, name string, args []ast.Expr)) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.SelectorExpr:
			found(f.X, f.Sel.Name, call.Args)
		case *ast.Ident:
			found(nil, f.Name, call.Args)
		}
		return true
	})
}

// errorLines are what the file logs at level ERROR. The method may also be called by way of a
// variable log.
func errorLines(s *source) (lines []string) {
	s.calls(func(of ast.Expr, name string, args []ast.Expr) {
		pkg, ok := of.(*ast.Ident)
		if name != "Error" && (of != nil || name != "log") || len(args) == 0 || ok && pkg.Name == "zap" {
			return
		}
		line, ok := constant(args[0])
		if !ok {
			s.t.Errorf("%s logs an ERROR whose text is no constant", s.path)
		}
		lines = append(lines, line)
	})
	return lines
}

// saysHealth reports whether a file has what health can say: what does not work, and the
// reasons, which are errors of the stores. Others are told to those who copy or check one, or
// by caddy validate.
func saysHealth(path string) bool {
	folder, name := filepath.Split(path)
	switch folder {
	case "delivery/":
		return name == "health.go" || name == "watch.go"
	case "delivery/encryption/":
		return name == "missing.go"
	case "delivery/redis/", "delivery/embedded/":
		return !slices.ContainsFunc([]string{"export", "import", "options", "check", "image", "salvage"}, func(prefix string) bool {
			return strings.HasPrefix(name, prefix)
		})
	default:
		return false
	}
}

var (
	// verb is a place in a sentence where something is filled in. The runbook has an
	// ellipsis there, but none at the ends.
	verb = regexp.MustCompile(`%[+#]?[a-z]`)
	ends = regexp.MustCompile(`^[…\s:(]+|[…\s:()]+$`)
)

// notSaid are parts of texts in these files that health never says: of scripts, of Redis's
// answers, by which they are recognised, and of a warning.
var notSaid = []string{
	"index of events", // why a part of it is set aside
	"local read_only =",
	"ERR ", "The user executing the script", "no such key", "number of arguments", "not an integer",
	"this machine's clock",
}

// healthSentences are what the file has that health may say. Texts of one or two words are
// none.
func healthSentences(s *source) (sentences []string) {
	if !saysHealth(s.path) {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && saysElsewhere(call) {
			return false
		}
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		text, ok := constant(e)
		text = ends.ReplaceAllString(verb.ReplaceAllString(text, "…"), "")
		if ok && strings.Count(text, " ") >= 2 && !slices.ContainsFunc(notSaid, func(part string) bool { return strings.Contains(text, part) }) {
			sentences = append(sentences, text)
		}
		return !ok // not its parts
	})
	return sentences
}

// saysElsewhere reports whether a call writes a line of the log, or takes a pattern.
func saysElsewhere(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	return ok && slices.Contains([]string{"Debug", "Info", "Warn", "Error", "MustCompile"}, f.Sel.Name)
}

// metricNames are the metrics that the file makes.
func metricNames(s *source) (names []string) {
	const prefix = "caddy_webhooks_"
	s.calls(func(_ ast.Expr, name string, args []ast.Expr) {
		if !slices.Contains([]string{"counter", "counters", "histograms", "NewDesc"}, name) {
			return
		}
		if sum, ok := args[0].(*ast.BinaryExpr); ok && name == "NewDesc" {
			args = []ast.Expr{sum.Y}
		}
		if text, ok := constant(args[0]); ok {
			names = append(names, prefix+strings.TrimPrefix(text, "_"))
		}
	})
	return names
}

// constant is the text of a literal, or of several that are added up.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e == nil || e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		x, okX := constant(e.X)
		y, okY := constant(e.Y)
		return x + y, okX && okY
	default:
		return "", false
	}
}
