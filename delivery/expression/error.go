package expression

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Error says what is wrong with an expression, or why it could not be evaluated. It may repeat
// parts of the expression, and names of members of the event's data.
type Error struct {
	// Line and Column are where, from 1; 0 if it is not of one place.
	Line, Column int
	Reason       string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Reason)
}

func compileError(err *cel.Error) error {
	return &Error{Line: max(err.Location.Line(), 1), Column: max(err.Location.Column(), 0) + 1, Reason: short(err.Message)}
}

// exceeded says whether an evaluation was stopped because of a limit.
func exceeded(err error) bool {
	_, ok := errors.AsType[interpreter.EvalCancelledError](err)
	return ok
}

// maxReason is how many bytes of a reason are kept: it may repeat a long text.
const maxReason = 300

// short makes one line of a text of the library, without what only says whose it is.
func short(text string) string {
	text = strings.ReplaceAll(text, " (in container '')", "")
	text = strings.ToValidUTF8(text[:min(len(text), 4*maxReason)], "\ufffd")
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.TrimRight(strings.Join(strings.Fields(text), " "), ". ")
	if len(text) > maxReason {
		cut := maxReason
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	if text == "" {
		return "it cannot be evaluated"
	}
	return text
}

func typeName(t *cel.Type) string {
	return "a value of the type " + short(t.String())
}

func valueName(v ref.Val) string {
	switch v.Type() {
	case types.NullType:
		return "null"
	case types.ListType:
		return "a list"
	case types.MapType:
		return "a map"
	default:
		return "a value of the type " + v.Type().TypeName()
	}
}
