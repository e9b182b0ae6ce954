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
	checkTable(t, "SENTENCES.md", "sentence", 2)
}

// TestThreats checks that the tests exist that SECURITY.md names as those that fail without
// what stops an attack.
func TestThreats(t *testing.T) {
	t.Parallel()
	checkTable(t, "../SECURITY.md", "attack", 3)
}

// checkTable checks the tables of a document whose first column is named so. They have so many
// columns, and name tests in the last one.
func checkTable(t *testing.T, document, first string, columns int) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	there := allTests(t)
	rows, within := 0, false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case !strings.HasPrefix(line, "|"):
			within = false
		case strings.TrimSpace(cells[0]) == first:
			within = true
		case within && !strings.HasPrefix(line, "|---"):
			rows++
			if len(cells) != columns {
				t.Errorf("this row of %s has not %d columns: %s", document, columns, line)
				continue
			}
			checkTests(t, there, cells)
		}
	}
	if rows == 0 {
		t.Errorf("%s has no rows", document)
	}
}

func checkTests(t *testing.T, there map[string]bool, cells []string) {
	t.Helper()
	for name := range strings.SplitSeq(cells[len(cells)-1], ",") {
		name = strings.TrimSpace(name)
		if !strings.Contains(name, ".") {
			name = "contracttest." + name
		}
		if !there[name] {
			t.Errorf("there is no %s:%s", name, cells[0])
		}
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
