package api

import (
	"errors"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// optional is a member of an object that may be left out, or null.
type optional[T any] struct {
	Set   bool // it is there
	Null  bool // and null
	Value T
}

// UnmarshalJSONFrom is called only for members that are there.
func (o *optional[T]) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	o.Set = true
	if dec.PeekKind() == jsontext.KindNull {
		o.Null = true
		return dec.SkipValue()
	}
	return json.UnmarshalDecode(dec, &o.Value)
}

// strict refuses unknown members. Names in another case, duplicate names and what
// is not UTF-8 are refused anyway.
var strict = json.RejectUnknownMembers(true)

// decode reads a body that is an object into v, strictly.
func decode(body []byte, v any) error {
	if body == nil {
		return nil
	}
	if err := json.Unmarshal(body, v, strict); err != nil {
		return bodyProblem(body, err)
	}
	if jsontext.Value(body).Kind() == jsontext.KindNull { // which the package takes for nothing to read
		return invalid(fieldError{"", "This must be an object."})
	}
	return nil
}

// bodyProblem says what is wrong with a body that could not be read into a value:
// that it is not JSON comes first, wherever in the body the other mistake is.
func bodyProblem(body []byte, err error) *problem {
	if p := syntaxProblem(body); p != nil {
		return p
	}
	return invalid(decodeError(err))
}

// decodeError describes an error of the json package. Its own text is not used:
// it repeats the value, which may be a secret.
func decodeError(err error) fieldError {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		field := fieldPath(syntactic.JSONPointer)
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return fieldError{field, "This member appears more than once."}
		}
		return fieldError{field, "This value is not valid."}
	}
	semantic, ok := errors.AsType[*json.SemanticError](err)
	switch {
	case !ok:
		return fieldError{"", "This value is not valid."}
	case errors.Is(err, json.ErrUnknownName):
		return fieldError{fieldPath(semantic.JSONPointer), "There is no such member, or it cannot be set."}
	default:
		return fieldError{fieldPath(semantic.JSONPointer), "This must be " + typeName(semantic.GoType) + "."}
	}
}

// fieldPath is a JSON pointer with dots.
func fieldPath(pointer jsontext.Pointer) string {
	var parts []string
	for part := range pointer.Tokens() {
		parts = append(parts, part)
	}
	return shorten(strings.Join(parts, "."))
}

// typeName is the JSON type that a Go type is read from.
func typeName(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "of another type"
	}
}

// Interface guard
var _ json.UnmarshalerFrom = (*optional[string])(nil)
