package api

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxTypeFile is how many bytes a schema or an example of an event type may have.
const MaxTypeFile = 256 << 10

// DeclaredType is an event type that is configured with more than its name.
type DeclaredType struct {
	Name        string
	Description string   // for people, up to 1,000 characters
	Schema      TypeFile // JSON Schema 2020-12, of the data of events
	Example     TypeFile // the data of a test event
}

// TypeFile is a file with JSON. Without a name there is none.
type TypeFile struct {
	Name    string // for errors
	Content []byte
}

// declare adds types, or what is declared of them to those that are known.
func (t *EventTypes) declare(declared []DeclaredType) error {
	seen := make(map[string]bool, len(declared))
	for i := range declared {
		d := &declared[i]
		if err := checkEventType(d.Name); err != nil {
			return fmt.Errorf("event_type: %w", err)
		}
		if seen[d.Name] {
			return fmt.Errorf("event_type: '%s' is declared twice", d.Name)
		}
		seen[d.Name] = true
		one, err := d.read()
		if err != nil {
			return fmt.Errorf("event_type %s: %w", d.Name, err)
		}
		t.add(one)
		t.schemas = t.schemas || one.schema != nil
	}
	return nil
}

// read checks a declaration. What it leaves out of a standard type stays, if it fits.
func (d *DeclaredType) read() (*eventType, error) {
	one := standardOrPlain(d.Name)
	if utf8.RuneCountInString(d.Description) > maxDescriptionLength {
		return nil, fmt.Errorf("the description must have at most %d characters", maxDescriptionLength)
	}
	if d.Description != "" {
		one.Description = d.Description
	}
	if d.Schema.Name != "" {
		source, err := d.Schema.object()
		if err == nil {
			one.Schema = source
			one.schema, err = compileEventSchema(source)
		}
		if err != nil {
			return nil, fmt.Errorf("schema: %s: %w", d.Schema.Name, err)
		}
	}
	if d.Example.Name != "" {
		example, err := d.Example.object()
		if err == nil {
			one.Example = example
			err = one.schema.checkExample(example)
		}
		if err != nil {
			return nil, fmt.Errorf("example: %s: %w", d.Example.Name, err)
		}
	} else if one.schema.checkExample(one.Example) != nil {
		one.Example = nil
	}
	return one, nil
}

// object is the content, without white space around tokens.
func (f *TypeFile) object() (jsontext.Value, error) {
	switch {
	case len(f.Content) > MaxTypeFile:
		return nil, fmt.Errorf("the file is larger than %d KiB", MaxTypeFile>>10)
	case onlySpace(f.Content):
		return nil, errors.New("the file is empty")
	}
	if err := readWhole(f.Content); err != nil {
		return nil, fmt.Errorf("the file is not JSON: %s: %s", position(f.Content, err.ByteOffset), syntaxReason(f.Content, err))
	}
	_, err := jsontext.NewDecoder(bytes.NewReader(f.Content)).ReadValue()
	if twice, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return nil, fmt.Errorf("%s appears more than once", fieldPath(twice.JSONPointer))
	}
	value := jsontext.Value(slices.Clone(f.Content))
	if value.Kind() != jsontext.KindBeginObject {
		return nil, errors.New("the file must have a JSON object")
	}
	return value, value.Compact()
}

// noExample is the data of a test event of a type without an example.
var noExample = jsontext.Value(`{"example":true}`)

// testData is what a test event of the type carries.
func (t *EventTypes) testData(name string) (jsontext.Value, error) {
	one := t.known[name]
	switch {
	case one == nil:
		return noExample, nil
	case one.Example != nil:
		return one.Example, nil
	case one.schema.checkExample(noExample) != nil:
		return nil, invalid(fieldError{"event_type", "This event type has a schema but no example, so there is no event to test with: choose another type, or add an example in the configuration of the server."})
	default:
		return noExample, nil
	}
}
