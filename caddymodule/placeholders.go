package caddymodule

import (
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// errEmpty says no more than that: what is around a placeholder may be secret.
var errEmpty = errors.New("is empty, or a placeholder in it is: is the variable set, the file readable?")

// errUnknownPlaceholder is of a value that is one, and stays it.
var errUnknownPlaceholder = errors.New("is a placeholder that means nothing here: write {env.NAME} or {file./path}")

// resolve replaces the global placeholders of a value, such as {env.X} and
// {file./path}. An unset variable and an unreadable file are both the empty text
// to Caddy, which is never what was meant, least of all for a secret.
func resolve(repl *caddy.Replacer, value string) (string, error) {
	const empty = "\x00" // in no value that works
	value = repl.ReplaceKnown(value, empty)
	if value == "" || strings.Contains(value, empty) {
		return "", errEmpty
	}
	return value, nil
}

// resolveAll is resolve for a list.
func resolveAll(repl *caddy.Replacer, values []string) ([]string, error) {
	resolved := make([]string, len(values))
	for i, value := range values {
		var err error
		if resolved[i], err = resolve(repl, value); err != nil {
			return nil, err
		}
	}
	return resolved, nil
}

// hasPlaceholder says whether a value can only be checked once it is resolved.
func hasPlaceholder(value string) bool {
	return strings.Contains(value, "{")
}
