package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// documents are the files that have tables of figures.
var documents = []string{"README.md", "bench/README.md", "docs/capacity.md"}

// A table in a document stands between two comments, the first of which has its name.
const (
	tableBegin = "<!-- make figures: %s -->\n"
	tableEnd   = "<!-- end -->\n"
)

// tables are what documents can have.
func (c costs) tables() map[string]string {
	return map[string]string{
		"expect":  c.expectTable(),
		"cores":   c.coreTable(),
		"nodes":   c.nodeTable(),
		"room":    c.roomTable(),
		"memory":  c.memoryTable(),
		"profile": c.profileTable(),
	}
}

// writeDocuments puts the tables into the documents, which are below a folder.
func writeDocuments(folder string, now *results) error {
	tables := costs{now}.tables()
	for _, name := range documents {
		path := filepath.Join(folder, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		renewed, err := withTables(string(text), tables)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(renewed), 0o644); err != nil { //nolint:gosec // everyone may read it
			return err
		}
	}
	return nil
}

// withTables replaces the tables in a document.
func withTables(text string, tables map[string]string) (string, error) {
	for name, table := range tables {
		begin := fmt.Sprintf(tableBegin, name)
		before, rest, found := strings.Cut(text, begin)
		if !found {
			continue
		}
		_, after, found := strings.Cut(rest, tableEnd)
		if !found {
			return "", fmt.Errorf("the table %q has no end", name)
		}
		text = before + begin + "\n" + table + "\n" + tableEnd + after
	}
	return text, nil
}

// markdown is a table in Markdown.
type markdown struct{ strings.Builder }

func newMarkdown(head ...string) *markdown {
	t := new(markdown)
	t.row(head...)
	t.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	return t
}

func (t *markdown) row(cells ...string) {
	for _, cell := range cells {
		t.WriteString(strings.TrimRight("| "+cell, " ") + " ")
	}
	t.WriteString("|\n")
}
