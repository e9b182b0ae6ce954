package contracttest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSentences checks that the tests that SENTENCES.md names exist.
func TestSentences(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("SENTENCES.md")
	if err != nil {
		t.Fatal(err)
	}
	there := allTests(t)
	rows := 0
	for line := range strings.Lines(string(table)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 3 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| sentence ") {
			continue
		}
		if len(cells) != 4 {
			t.Errorf("this row is not a sentence and its tests: %s", line)
			continue
		}
		rows++
		for name := range strings.SplitSeq(cells[2], ",") {
			name = strings.TrimSpace(name)
			if !strings.Contains(name, ".") {
				name = "contracttest." + name
			}
			if !there[name] {
				t.Errorf("there is no %s:%s", name, cells[1])
			}
		}
	}
	if rows == 0 {
		t.Error("SENTENCES.md has no rows")
	}
}

var (
	packageClause = regexp.MustCompile(`(?m)^package (\w+?)(_test)?$`)
	testFunction  = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`)
)

// allTests are the names of the repository's tests, as package.Test.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	all := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != "..":
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		in := packageClause.FindSubmatch(source)
		for _, found := range testFunction.FindAllSubmatch(source, -1) {
			all[string(in[1])+"."+string(found[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
