package expression

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/go-json-experiment/json/jsontext"
)

var errTooLarge = errors.New("the result is too large")

// writer writes a value as JSON.
type writer struct {
	buf    []byte
	most   int // bytes
	values int // that are written at most
}

const (
	// perWritten is the work of writing a value.
	perWritten = maxWork / maxWritten
	// maxWritten is how many values a result may have.
	maxWritten = 40_000
)

// value appends a value. What has the same members gives the same bytes.
func (w *writer) value(v ref.Val, depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("the result is nested more than %d deep", maxNesting)
	}
	if w.values--; w.values < 0 {
		return errTooLarge
	}
	switch v := v.(type) {
	case types.Null:
		w.buf = append(w.buf, "null"...)
	case types.Bool:
		w.buf = strconv.AppendBool(w.buf, bool(v))
	case types.Int:
		w.buf = strconv.AppendInt(w.buf, int64(v), 10)
	case types.Uint:
		w.buf = strconv.AppendUint(w.buf, uint64(v), 10)
	case types.Double:
		return w.double(float64(v))
	case types.String:
		return w.text(string(v))
	case types.Bytes:
		if base64.StdEncoding.EncodedLen(len(v)) > w.most-len(w.buf) {
			return errTooLarge
		}
		return w.text(base64.StdEncoding.EncodeToString(v))
	case types.Timestamp:
		return w.text(v.UTC().Format(time.RFC3339Nano))
	case types.Duration:
		return w.text(strconv.FormatFloat(v.Seconds(), 'f', -1, 64) + "s")
	case traits.Lister:
		if native, ok := v.Value().([]any); ok {
			return w.natives(native, depth)
		}
		return w.list(v, depth)
	case traits.Mapper:
		return w.object(v, depth)
	default:
		return fmt.Errorf("a value of the type %s is not JSON", v.Type().TypeName())
	}
	return w.check()
}

func (w *writer) check() error {
	if len(w.buf) > w.most {
		return errTooLarge
	}
	return nil
}

func (w *writer) double(f float64) error {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return errors.New("a number of the result is infinite or not a number, which JSON does not have")
	}
	w.buf = append(w.buf, jsontext.Float(f).String()...)
	return w.check()
}

func (w *writer) text(s string) error {
	if len(s) > w.most-len(w.buf) {
		return errTooLarge
	}
	if n := len(s) + 2; n > cap(w.buf)-len(w.buf) { // append would copy more often
		w.buf = slices.Grow(w.buf, max(n, min(len(w.buf), w.most-len(w.buf))))
	}
	var err error
	if w.buf, err = jsontext.AppendQuote(w.buf, strings.ToValidUTF8(s, "\ufffd")); err != nil {
		return err
	}
	return w.check()
}

func (w *writer) list(l traits.Lister, depth int) error {
	w.buf = append(w.buf, '[')
	for i := range size(l) {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		if err := w.value(l.Get(types.Int(i)), depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, ']')
	return w.check()
}

// natives writes a list of the event's data, which is not made values of first.
func (w *writer) natives(list []any, depth int) error {
	w.buf = append(w.buf, '[')
	for i, v := range list {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		if err := w.value(types.DefaultTypeAdapter.NativeToValue(v), depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, ']')
	return w.check()
}

type member struct {
	name  string
	value ref.Val
}

func (w *writer) object(m traits.Mapper, depth int) error {
	if size(m) > w.most/4 {
		return errTooLarge
	}
	members := make([]member, 0, size(m))
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.ConvertToType(types.StringType).(types.String)
		if !ok {
			return fmt.Errorf("a key of the result is %s, but must be a string", valueName(key))
		}
		members = append(members, member{string(name), m.Get(key)})
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	w.buf = append(w.buf, '{')
	for i, one := range members {
		if i > 0 {
			if one.name == members[i-1].name {
				return errors.New("two keys of an object of the result are the same as strings")
			}
			w.buf = append(w.buf, ',')
		}
		if err := w.text(one.name); err != nil {
			return err
		}
		w.buf = append(w.buf, ':')
		if err := w.value(one.value, depth+1); err != nil {
			return err
		}
	}
	w.buf = append(w.buf, '}')
	return w.check()
}
