package redis

import (
	"slices"
	"strings"
	"testing"
)

// TestCommonParts checks that scripts get what they use of common.lua, and nothing else.
func TestCommonParts(t *testing.T) {
	definitions := parseDefinitions("local a = 1\n\nlocal function f()\n  return a\nend\n\nlocal b, c = 2, 3\nlocal function g() return f() end\n")
	for script, want := range map[string]string{
		"return a":                  "a",
		"return c":                  "b",
		"return g()":                "afg",
		"-- f\nreturn 1 -- and a":   "",
		"return f() -- but not g":   "af",
		"local x = b return f(x.g)": "afbg",
	} {
		var got strings.Builder
		used := usedOf(definitions, script)
		for _, d := range definitions {
			if strings.Contains(used, d.source) {
				got.WriteString(d.names[0])
			}
		}
		if got.String() != want {
			t.Errorf("%q uses %q, want %q", script, got.String(), want)
		}
	}
}

// TestCommonUsed checks that each part of common.lua is used by a script.
func TestCommonUsed(t *testing.T) {
	files, err := scriptFiles.ReadDir("scripts")
	if err != nil {
		t.Fatal(err)
	}
	unused := slices.Clone(common)
	for _, file := range files {
		if name := strings.TrimSuffix(file.Name(), ".lua"); !slices.Contains(commonFiles, name) {
			used := usedOf(common, readScript(name))
			unused = slices.DeleteFunc(unused, func(d definition) bool { return strings.Contains(used, d.source) })
		}
	}
	for _, d := range unused {
		t.Errorf("no script uses %s", d.names)
	}
}
