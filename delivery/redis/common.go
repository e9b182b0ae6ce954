package redis

import (
	"regexp"
	"slices"
	"strings"
)

// commonFiles have what scripts share. Each uses only what comes before.
var commonFiles = []string{"common", "rates", "queues", "records", "audits", "replays"}

// common are the definitions of these files.
var common = readCommon()

func readCommon() (all []definition) {
	for _, name := range commonFiles {
		all = append(all, parseDefinitions(luaComment.ReplaceAllString(readScript(name), ""))...)
	}
	return all
}

// definition is a part of a script that defines names.
type definition struct {
	names  []string
	source string
}

var (
	definitionStart = regexp.MustCompile(`(?m)^local\s(?:function\s)?(\w+(?:,\s\w+)*)`)
	luaWord         = regexp.MustCompile(`\w+`)
	luaComment      = regexp.MustCompile(`--[^\n]*`)
)

// parseDefinitions divides a script into definitions, each of which begins with local at the
// beginning of a line.
func parseDefinitions(source string) (all []definition) {
	starts := definitionStart.FindAllStringSubmatchIndex(source, -1)
	for i, at := range starts {
		end := len(source)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		all = append(all, definition{strings.Split(source[at[2]:at[3]], ", "), source[at[0]:end]})
	}
	return all
}

// usedOf returns the definitions that a script needs, in their order. Each function costs time
// whenever the script runs, used or not.
func usedOf(definitions []definition, script string) string {
	words := make(map[string]bool)
	add := func(source string) {
		for _, word := range luaWord.FindAllString(source, -1) {
			words[word] = true
		}
	}
	add(luaComment.ReplaceAllString(script, ""))
	var used []string
	// A definition needs only those that come before it.
	for _, d := range slices.Backward(definitions) {
		if slices.ContainsFunc(d.names, func(name string) bool { return words[name] }) {
			add(d.source)
			used = append(used, d.source)
		}
	}
	slices.Reverse(used)
	return strings.Join(used, "")
}
