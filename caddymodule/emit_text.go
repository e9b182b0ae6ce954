package caddymodule

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// emitText is a text with placeholders of a request and its answer.
type emitText []emitPart

// emitPart is a literal, or the name of a placeholder.
type emitPart struct {
	literal     string
	placeholder string
}

// emitPlaceholder finds placeholders also in a text that is JSON, whose own braces have a
// quotation mark or a space behind them, or enclose nothing.
var emitPlaceholder = regexp.MustCompile(`\{([^{}"\s][^{}"\n]*)\}`)

const (
	requestBodyKey    = "http.request.body"
	responseStatusKey = "http.response.status"
	responseHeaderKey = "http.response.header."
)

// newEmitText reads a text. What is the same for all requests is replaced now.
func newEmitText(repl *caddy.Replacer, text string) (emitText, error) {
	var t emitText
	for text != "" {
		found := emitPlaceholder.FindStringSubmatchIndex(text)
		if found == nil {
			return append(t, emitPart{literal: text}), nil
		}
		if found[0] > 0 {
			t = append(t, emitPart{literal: text[:found[0]]})
		}
		part := emitPart{placeholder: text[found[2]:found[3]]}
		if isGlobal(part.placeholder) {
			value, err := resolve(repl, text[found[0]:found[1]])
			if err != nil {
				return nil, err
			}
			part.literal = value
		}
		t = append(t, part)
		text = text[found[1]:]
	}
	return t, nil
}

// isGlobal says whether a placeholder has one value for all requests.
func isGlobal(name string) bool {
	return strings.HasPrefix(name, "env.") || strings.HasPrefix(name, "file.")
}

// literals are the parts of the text that are the same for all requests.
func (t emitText) literals() (text string) {
	for _, part := range t {
		text += part.literal
	}
	return text
}

// readsRequest says whether the text needs the body of the request.
func (t emitText) readsRequest() bool {
	for _, part := range t {
		if part.placeholder == requestBodyKey || strings.HasPrefix(part.placeholder, requestBodyKey+".") {
			return true
		}
	}
	return false
}

// checkJSON refuses a text that is meant as a JSON object, and is none whatever its
// placeholders give.
func (t emitText) checkJSON() error {
	var filled []byte
	for _, part := range t {
		if part.placeholder != "" {
			filled = append(filled, '0') // fits within a string, and as a value
		} else {
			filled = append(filled, part.literal...)
		}
	}
	if trimmed := strings.TrimSpace(string(filled)); !strings.HasPrefix(trimmed, "{") {
		return nil
	}
	if _, ok := api.AsData(filled); !ok {
		return errors.New("data begins as a JSON object and is none: look at its commas, quotation marks and braces, and whether a member is there twice")
	}
	return nil
}

// emitValues are what placeholders give for one request and its answer.
type emitValues struct {
	request *http.Request
	header  http.Header // of the answer
	status  int
	body    []byte // of the request, decoded
	memory  emitMemory
	// empty is a placeholder that has given nothing since this was reset, "" if there is none.
	empty string
}

// fill replaces the placeholders, and escapes what they give as in a JSON string if escape is
// set.
func (t emitText) fill(v *emitValues, escape bool) string {
	if len(t) == 1 && t[0].placeholder == "" {
		return t[0].literal
	}
	var repl *caddy.Replacer
	var b []byte
	for _, part := range t {
		value := part.literal
		if part.placeholder != "" && !isGlobal(part.placeholder) {
			if repl == nil {
				repl = replacer(v.request)
			}
			if value = v.of(part.placeholder, repl); value == "" {
				v.empty = part.placeholder
			}
		}
		if escape && part.placeholder != "" {
			b = appendEscaped(b, value)
		} else {
			b = append(b, value...)
		}
	}
	return string(b)
}

// of is what a placeholder gives: nothing if it is unknown.
func (v *emitValues) of(name string, repl *caddy.Replacer) string {
	if path, ok := strings.CutPrefix(name, requestBodyKey); ok {
		switch {
		case path == "":
			return string(v.body)
		case path[0] == '.':
			return jsonAt(v.body, path[1:])
		}
	}
	if field, ok := strings.CutPrefix(name, responseHeaderKey); ok {
		return strings.Join(v.header.Values(field), ",")
	}
	if name == responseStatusKey || name == responseStatusKey+"_code" {
		return strconv.Itoa(v.status)
	}
	value, _ := repl.GetString(name)
	return value
}

// appendEscaped appends a text as it stands between the quotation marks of a JSON string.
func appendEscaped(b []byte, text string) []byte {
	begin := len(b)
	b, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(text, "\uFFFD")) // which cannot fail then
	return append(b[:begin], b[begin+1:len(b)-1]...)
}
