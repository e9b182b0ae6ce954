package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
)

// resolve replaces the global placeholders of a value, such as {env.X} and
// {file./path}. It refuses what nobody means: an unset variable, an unreadable file,
// and characters that cannot be seen, such as the second line break at the end of a
// file. Its errors continue the option's name. They name placeholders but show no
// values, which may be secret.
func resolve(repl *caddy.Replacer, value string) (string, error) {
	for _, match := range anyPlaceholder.FindAllStringSubmatch(value, -1) {
		placeholder, name := match[0], match[1]
		part, known := repl.GetString(name)
		switch what := invisible(part); {
		case !known:
		case part == "" && placeholder == value:
			return "", fmt.Errorf("is empty: %s has no value%s", placeholder, emptyHint(name))
		case part == "":
			return "", fmt.Errorf("is incomplete: %s is empty%s", placeholder, emptyHint(name))
		case what != "":
			return "", fmt.Errorf("%s, which comes from %s: remove it", what, placeholder)
		}
	}
	value = repl.ReplaceKnown(value, "")
	if value == "" {
		return "", errors.New("is empty")
	}
	if what := invisible(value); what != "" {
		return "", fmt.Errorf("%s: remove it", what)
	}
	return value, nil
}

// anyPlaceholder finds what may be a placeholder. A backslash keeps braces as they are.
var anyPlaceholder = regexp.MustCompile(`\{([^{}]*[^{}\\])\}`)

func emptyHint(name string) string {
	switch {
	case strings.HasPrefix(name, "env."):
		return " (is the environment variable set?)"
	case strings.HasPrefix(name, "file."):
		return " (does the file exist, and may Caddy read it?)"
	default:
		return ""
	}
}

// invisible says what nobody sees in a text, "" for nothing. Caddy itself takes one
// line break off the end of a file.
func invisible(text string) string {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	switch {
	case text == "":
		return ""
	case last == '\n' || last == '\r':
		return "ends with a line break"
	case unicode.IsSpace(last):
		return "ends with white space"
	case unicode.IsSpace(first):
		return "begins with white space"
	case first == '\uFEFF':
		return "begins with a byte order mark"
	}
	for _, r := range text {
		if !unicode.IsGraphic(r) {
			return fmt.Sprintf("contains the invisible character %U", r)
		}
	}
	return ""
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

// requestText is a text that may have placeholders of a request.
type requestText struct {
	text string
	name string // of the placeholder, if the text is one and nothing else
}

func newRequestText(text string) requestText {
	t := requestText{text: text}
	if match := onePlaceholder.FindStringSubmatch(text); match != nil {
		t.name = match[1]
	}
	return t
}

// of is the text for a request: an unknown placeholder is replaced by nothing.
func (t *requestText) of(r *http.Request) string {
	switch {
	case t.name != "":
		value, _ := replacer(r).GetString(t.name)
		return value
	case hasPlaceholder(t.text):
		return replacer(r).ReplaceAll(t.text, "")
	default:
		return t.text
	}
}

// hasPlaceholder says whether a value can only be checked once it is resolved.
func hasPlaceholder(value string) bool {
	return strings.Contains(value, "{")
}
