package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is how deep the JSON package lets arrays and objects be nested.
const maxDepth = 10_000

// syntaxProblem says where a body stops being JSON, and why; nil if it is JSON. A name
// that an object has twice is not its business.
func syntaxProblem(body []byte) *problem {
	if jsontext.Value(body).IsValid(jsontext.AllowDuplicateNames(true)) {
		return nil
	}
	err := readWhole(body)
	if err == nil {
		return nil
	}
	detail := fmt.Sprintf("%s: %s.", position(body, err.ByteOffset), syntaxReason(body, err))
	return &problem{
		Status: http.StatusBadRequest,
		Detail: "The body is not JSON in valid UTF-8; see errors.",
		Errors: []fieldError{{fieldPath(err.JSONPointer), detail}},
	}
}

// readWhole reads a body to its end. It reads the elements of an array one by one: so
// it knows the index of one that cannot even begin.
func readWhole(body []byte) *jsontext.SyntacticError {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	var err error
	if isArray(body) {
		_, err = dec.ReadToken()
		for i := 0; err == nil && dec.PeekKind() != jsontext.KindEndArray; i++ {
			_, err = dec.ReadValue()
			if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok && syntactic.JSONPointer == "" {
				syntactic.JSONPointer = jsontext.Pointer("/" + strconv.Itoa(i))
			}
		}
		if err == nil {
			_, err = dec.ReadToken()
		}
	} else {
		_, err = dec.ReadValue()
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return syntactic
	}
	end := dec.InputOffset()
	if rest := bytes.TrimLeft(body[end:], jsonSpace); len(rest) > 0 {
		return &jsontext.SyntacticError{ByteOffset: int64(len(body) - len(rest)), Err: errTrailing}
	}
	return nil
}

var errTrailing = errors.New("something follows the JSON")

// expectations are what could have stood where something else does, by how the JSON
// package says it. Its whole text is not used: it repeats what stands there, which may
// be a part of a secret.
var expectations = []struct{ said, expected string }{
	{"(expecting ',' or ']')", "a comma or ] was expected"},
	{"(expecting ',' or '}')", "a comma or } was expected"},
	{"(expecting ':')", "a colon was expected"},
	{`(expecting '"')`, "the name of a member, in double quotes, was expected"},
	{"(expecting digit)", "a digit was expected"},
	{"in literal", "true, false or null was expected"},
	{"at start of value", "a value was expected"},
}

// syntaxReason says what is wrong at the error's place.
func syntaxReason(body []byte, err *jsontext.SyntacticError) string {
	rest := body[min(err.ByteOffset, int64(len(body))):]
	switch {
	case errors.Is(err, errTrailing):
		return "the JSON has ended, and only white space may follow it"
	case errors.Is(err, io.ErrUnexpectedEOF) || len(rest) == 0:
		return "the JSON is cut off here"
	case strings.Count(string(err.JSONPointer), "/") >= maxDepth:
		return fmt.Sprintf("arrays and objects are nested more than %d deep", maxDepth)
	case bytes.HasPrefix(rest, []byte("\ufeff")):
		return "JSON must not begin with a byte order mark"
	case isSurrogate(rest):
		return `this escape is half of a surrogate pair (as in \ud83d\ude00), and the other half is missing`
	case rest[0] == '\\':
		return "this is not an escape sequence of JSON"
	case !utf8.FullRune(rest) || isInvalidUTF8(rest):
		return "this byte is not valid UTF-8"
	case rest[0] < ' ':
		return `a control character must be written as an escape sequence, such as \n`
	}
	said := err.Err.Error()
	for _, e := range expectations {
		if strings.Contains(said, e.said) {
			return e.expected
		}
	}
	return "this is not JSON"
}

// isSurrogate says whether text begins with an escape of half a surrogate pair.
func isSurrogate(text []byte) bool {
	return len(text) > 3 && text[0] == '\\' && text[1] == 'u' && (text[2] == 'd' || text[2] == 'D') && strings.IndexByte("89abcdefABCDEF", text[3]) >= 0
}

func isInvalidUTF8(text []byte) bool {
	r, size := utf8.DecodeRune(text)
	return r == utf8.RuneError && size == 1
}

// position is a place in the body, for people and for programs.
func position(body []byte, offset int64) string {
	before := body[:min(offset, int64(len(body)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("Line %d, column %d (byte offset %d)", line, column, offset)
}
