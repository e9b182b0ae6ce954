package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// eventSchema is the schema of an event type's data. It is safe for concurrent use.
type eventSchema struct {
	whole *jsonschema.Schema // says all that does not fit
	// inverse fits whatever whole does not. Unlike whole it notes no places, which takes
	// memory for each value that does not fit.
	inverse *jsonschema.Schema
}

const (
	// schemaBase is where the schema seems to be, for references within it.
	schemaBase    = "schema:///"
	schemaDialect = "https://json-schema.org/draft/2020-12/schema"

	// largeData is how many bytes data may have that are checked at once.
	largeData = 16 << 10
	// maxPlaces bounds the memory for telling where data do not fit: see weight.
	maxPlaces = 2_000_000
	// maxNumber is how many digits a number may have that is checked, and its exponent
	// how large it may be: it is turned into one of arbitrary precision.
	maxNumber = 400
)

var errReference = errors.New("is outside of the schema, and references must stay within it")

// noLoader refuses all references to other files and sites.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errReference }

// compileEventSchema compiles a schema, which must be a JSON object.
func compileEventSchema(source []byte) (*eventSchema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return nil, err
	}
	for at := range subschemas(doc) {
		if dialect, ok := at["$schema"].(string); ok && strings.TrimSuffix(dialect, "#") != schemaDialect {
			return nil, fmt.Errorf("$schema must be %s, or be left out", schemaDialect)
		}
		for _, name := range []string{"$ref", "$dynamicRef"} {
			// The library has these by itself.
			if ref, ok := at[name].(string); ok && strings.Contains(ref, "://json-schema.org/") {
				return nil, fmt.Errorf("%s %w", shorten(ref), errReference)
			}
		}
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	const whole, inverse = schemaBase + "whole", schemaBase + "inverse"
	err = errors.Join(compiler.AddResource(whole, doc), compiler.AddResource(inverse, map[string]any{"not": map[string]any{"$ref": whole}}))
	if err != nil {
		return nil, err
	}
	s := new(eventSchema)
	if s.whole, err = compiler.Compile(whole); err != nil {
		return nil, schemaError(err)
	}
	if s.inverse, err = compiler.Compile(inverse); err != nil {
		return nil, schemaError(err)
	}
	if err := s.whole.Validate(map[string]any{}); hasCycle(err) {
		return nil, errors.New("a $ref leads back to itself, so nothing can fit")
	}
	return s, nil
}

// schemaError says in a sentence why a schema cannot be compiled.
func schemaError(err error) error {
	if outside, ok := errors.AsType[*jsonschema.LoadURLError](err); ok {
		return fmt.Errorf("%s %w", shorten(strings.TrimPrefix(outside.URL, schemaBase)), errReference)
	}
	if invalid, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if found := misfits(invalid.Err); len(found) > 0 {
			return fmt.Errorf("%s: %s", strings.Join(found[0].path, "."), found[0].detail)
		}
	}
	return errors.New(strings.ReplaceAll(err.Error(), schemaBase+"whole", ""))
}

// checkExample says why data are not as the schema has it. Without a schema all are.
func (s *eventSchema) checkExample(data jsontext.Value) error {
	var errs fieldErrors
	if s != nil && data != nil {
		s.check(data, &errs)
	}
	if len(errs.errs) == 0 {
		return nil
	}
	return fmt.Errorf("%s does not fit the schema: %s", errs.errs[0].Field, errs.errs[0].Detail)
}

// checking has room for those who check large data: as many as can really go on at the same
// time, since each takes memory that is many times the data. No tenant alone fills it, as none has
// more turns than half as many, but one at least.
var checking = make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))

// turns has tenants wait for others of their own: see delivery.Engine.Turn.
type turns interface {
	Turn(ctx context.Context, tenant string) (leave func(), err error)
}

// checkSchemas notes where the data of a tenant's events do not fit the schemas of their types. It
// waits for its turn if some are large.
func (t *EventTypes) checkSchemas(ctx context.Context, turns turns, tenant string, events []delivery.NewEvent, array bool) error {
	if !t.schemas {
		return nil
	}
	var errs fieldErrors
	for i := range events {
		if array {
			errs.prefix = strconv.Itoa(i) + "."
		}
		if err := t.checkSchema(ctx, turns, tenant, &events[i], &errs); err != nil {
			return err
		}
	}
	return errs.problem()
}

// checkSchema does it for one. The data must be an object.
func (t *EventTypes) checkSchema(ctx context.Context, turns turns, tenant string, ev *delivery.NewEvent, errs *fieldErrors) error {
	one := t.known[ev.Type]
	if one == nil || one.schema == nil || errs.full() {
		return nil
	}
	if len(ev.Data) > largeData {
		leave, err := turns.Turn(ctx, tenant)
		if err != nil {
			return err
		}
		defer leave()
		select {
		case checking <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-checking }()
	}
	one.schema.check(ev.Data, errs)
	return nil
}

// check notes where data, which are JSON, do not fit.
func (s *eventSchema) check(data jsontext.Value, errs *fieldErrors) {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		errs.add("data", "This value is not valid.")
		return
	}
	w := weight{path: []string{"data"}}
	if !w.add(value) {
		errs.add(shorten(strings.Join(w.path, ".")), fmt.Sprintf("This number cannot be checked against the schema: it may have %d digits, and an exponent up to %d.", maxNumber, maxNumber))
		return
	}
	if s.inverse.Validate(value) != nil {
		return // it fits
	}
	if w.places > maxPlaces {
		errs.add("data", "This does not fit the schema of its event type. It has too many values to say where.")
		return
	}
	for _, m := range misfits(s.whole.Validate(value)) {
		errs.add(shorten(strings.Join(append([]string{"data"}, m.path...), ".")), m.detail)
	}
}

// weight is how much it takes to tell where a value does not fit, if nothing in it fits.
type weight struct {
	path   []string // to what is looked at
	places int
}

// add adds a value and those in it, until there is a number that cannot be checked: then it
// says no, and path leads there.
func (w *weight) add(v any) bool {
	w.places += 16 + len(w.path)
	switch v := v.(type) {
	case json.Number:
		return isBounded(string(v))
	case []any:
		for i, element := range v {
			if !w.within(strconv.Itoa(i), element) {
				return false
			}
		}
	case map[string]any:
		for name, member := range v {
			if !w.within(name, member) {
				return false
			}
		}
	}
	return true
}

func (w *weight) within(name string, v any) bool {
	w.path = append(w.path, name)
	if !w.add(v) {
		return false
	}
	w.path = w.path[:len(w.path)-1]
	return true
}

// isBounded says whether a number takes little room however it is written.
func isBounded(number string) bool {
	if len(number) > maxNumber {
		return false
	}
	at := strings.IndexAny(number, "eE")
	if at < 0 {
		return true
	}
	exponent, err := strconv.Atoi(strings.TrimPrefix(number[at+1:], "+"))
	return err == nil && -maxNumber <= exponent && exponent <= maxNumber
}
