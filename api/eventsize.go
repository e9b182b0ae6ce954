package api

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// checkSizes refuses an array with an element that is larger than an event may be, and one
// that is not JSON before such an element. All else is for who decodes it.
func checkSizes(body []byte, maxEventSize int64) error {
	if int64(len(body)) <= maxEventSize || !mayHaveLarge(body, maxEventSize) {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	_, err := dec.ReadToken()
	for i := 0; err == nil && dec.PeekKind() != jsontext.KindEndArray; i++ {
		var element jsontext.Value
		if element, err = dec.ReadValue(); int64(len(element)) > maxEventSize {
			return eventTooLarge(maxEventSize, strconv.Itoa(i))
		}
	}
	if p := syntaxProblem(body); p != nil {
		return p
	}
	return nil
}

// mayHaveLarge says whether an element of the array may be larger than an event may be.
// It looks only for where elements end. To decode a large one takes far longer, since the
// names of its members are compared.
func mayHaveLarge(body []byte, maxEventSize int64) bool {
	depth, begin := 0, 0
	quoted := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++ // what is escaped
		case quoted:
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == ',' && depth == 1:
			begin = i + 1
		}
		if int64(i-begin) > maxEventSize {
			return true
		}
	}
	return false
}
