package caddymodule

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// jsonAt is the value at a path into JSON, such as device.ids.0: of a string what it says, of
// another value its JSON, and nothing of null and of what is not there.
func jsonAt(body []byte, path string) string {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, ".")
		if !enterJSON(dec, name) {
			return ""
		}
	}
	value, err := dec.ReadValue()
	if err != nil {
		return ""
	}
	switch value.Kind() {
	case jsontext.KindNull:
		return ""
	case jsontext.KindString:
		text, _ := jsontext.AppendUnquote(nil, value)
		return string(text)
	default:
		return string(value)
	}
}

// enterJSON moves to a member of the object, or to an element of the array, that comes next.
func enterJSON(dec *jsontext.Decoder, name string) bool {
	token, err := dec.ReadToken()
	if err != nil {
		return false
	}
	switch token.Kind() {
	case jsontext.KindBeginObject:
		for dec.PeekKind() == jsontext.KindString {
			member, err := dec.ReadToken()
			if err != nil {
				return false
			}
			if member.String() == name {
				return true
			}
			if dec.SkipValue() != nil {
				return false
			}
		}
	case jsontext.KindBeginArray:
		index, err := strconv.Atoi(name)
		for ; err == nil && index > 0 && dec.PeekKind() != jsontext.KindEndArray; index-- {
			err = dec.SkipValue()
		}
		return err == nil && index == 0 && dec.PeekKind() != jsontext.KindEndArray
	default:
	}
	return false
}
