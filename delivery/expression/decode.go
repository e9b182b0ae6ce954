package expression

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"github.com/go-json-experiment/json/jsontext"
)

// maxNesting is how deep data may be nested for expressions, and a result.
const maxNesting = 200

var errNotJSON = errors.New("the event's data cannot be read")

// decodeData decodes an object into what CEL's types hold: integers of up to 64 bits are exact,
// and other numbers are doubles. It does not look for mistakes, since data have been checked when
// they came in, but takes none for anything else.
func decodeData(data []byte) (any, error) {
	d := decoder{text: string(data)} // which all texts without escapes are part of
	v, err := d.value(0)
	if err == nil && d.peek() != 0 {
		err = errNotJSON
	}
	return v, err
}

type decoder struct {
	text string
	at   int
}

// peek is the next byte that is no space, 0 at the end.
func (d *decoder) peek() byte {
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// take passes over a byte, if it is the next.
func (d *decoder) take(c byte) bool {
	if d.peek() != c {
		return false
	}
	d.at++
	return true
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("the event's data are nested more than %d deep", maxNesting)
	}
	switch c := d.peek(); c {
	case '{':
		return d.object(depth)
	case '[':
		return d.array(depth)
	case '"':
		s, err := d.string()
		return types.String(s), err
	case 't':
		return types.True, d.literal("true")
	case 'f':
		return types.False, d.literal("false")
	case 'n':
		return types.NullValue, d.literal("null")
	default:
		return d.number()
	}
}

func (d *decoder) literal(text string) error {
	if !strings.HasPrefix(d.text[d.at:], text) {
		return errNotJSON
	}
	d.at += len(text)
	return nil
}

func (d *decoder) object(depth int) (any, error) {
	d.at++
	members := make(map[string]any)
	if d.take('}') {
		return members, nil
	}
	for {
		if d.peek() != '"' {
			return nil, errNotJSON
		}
		name, err := d.string()
		if err != nil {
			return nil, err
		}
		if !d.take(':') {
			return nil, errNotJSON
		}
		if members[name], err = d.value(depth + 1); err != nil {
			return nil, err
		}
		if d.take('}') {
			return members, nil
		}
		if !d.take(',') {
			return nil, errNotJSON
		}
	}
}

func (d *decoder) array(depth int) (any, error) {
	d.at++
	elements := []any{}
	if d.take(']') {
		return elements, nil
	}
	for {
		element, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
		if d.take(']') {
			return elements, nil
		}
		if !d.take(',') {
			return nil, errNotJSON
		}
	}
}

func (d *decoder) string() (string, error) {
	begin, escaped := d.at, false
	for d.at++; d.at < len(d.text); d.at++ {
		switch d.text[d.at] {
		case '\\':
			escaped = true
			d.at++
		case '"':
			d.at++
			if !escaped {
				return d.text[begin+1 : d.at-1], nil
			}
			plain, err := jsontext.AppendUnquote(nil, d.text[begin:d.at])
			if err != nil && !strings.Contains(err.Error(), "UTF-8") { // for which U+FFFD stands
				return "", errNotJSON
			}
			return string(plain), nil
		}
	}
	return "", errNotJSON
}

func (d *decoder) number() (any, error) {
	begin := d.at
	for d.at < len(d.text) && strings.IndexByte("+-.0123456789Ee", d.text[d.at]) >= 0 {
		d.at++
	}
	text := d.text[begin:d.at]
	if !strings.ContainsAny(text, ".eE") { // or errors would be made for nothing
		if i, err := strconv.ParseInt(text, 10, 64); err == nil && (i != 0 || text[0] != '-') {
			return types.Int(i), nil
		}
		if u, err := strconv.ParseUint(text, 10, 64); err == nil {
			return types.Uint(u), nil
		}
	}
	f, err := strconv.ParseFloat(text, 64) // infinite if it is too large
	if err != nil && !math.IsInf(f, 0) {
		return nil, errNotJSON
	}
	return types.Double(f), nil
}
