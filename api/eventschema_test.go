package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

// TestSchemasThatAreRefused has files that are no schema, or none that could be used.
func TestSchemasThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ schema, want string }{
		{``, `the file is empty`},
		{"{\n", `the file is not JSON: Line 2, column 1 (byte offset 2): the JSON is cut off here`},
		{"{\n\"type\": }", `the file is not JSON: Line 2, column 9 (byte offset 10): a value was expected`},
		{`{} {}`, `only white space may follow it`},
		{`{"type":"object","type":"array"}`, `type appears more than once`},
		{`{"a":{"b":1,"b":2}}`, `a.b appears more than once`},
		{`[]`, `the file must have a JSON object`},
		{`true`, `the file must have a JSON object`},
		{`{"type":"text"}`, `type: This must fit one of the schemas in anyOf.`},
		{`{"properties":{"a":{"minLength":"1"}}}`, `properties.a.minLength: This must be an integer.`},
		{`{"properties":{"a":{"pattern":"(?=a)"}}}`, `properties.a.pattern: This must be a regular expression, of those that RE2 knows.`},
		{`{"$ref":"other.json"}`, `other.json is outside of the schema, and references must stay within it`},
		{`{"$ref":"https://example.com/other.json#/a"}`, `https://example.com/other.json is outside of the schema`},
		{`{"properties":{"a":{"$ref":"file:///etc/passwd"}}}`, `file:///etc/passwd is outside of the schema`},
		{`{"$id":"https://example.com/a.json","$ref":"b.json"}`, `https://example.com/b.json is outside of the schema`},
		{`{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, `https://json-schema.org/draft/2020-12/schema is outside of the schema`},
		{`{"allOf":[{"$dynamicRef":"https://json-schema.org/draft/2020-12/schema#meta"}]}`, `is outside of the schema`},
		{`{"$ref":"#/$defs/none"}`, `#/$defs/none`},
		{`{"$ref":"#none"}`, `#none`},
		{`{"$ref":"#"}`, `a $ref leads back to itself, so nothing can fit`},
		{`{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"allOf":[{"$ref":"#/$defs/a"}]}}}`, `a $ref leads back to itself`},
		{`{"$schema":"http://json-schema.org/draft-07/schema#"}`, `$schema must be https://json-schema.org/draft/2020-12/schema, or be left out`},
		{`{"$defs":{"a":{"$id":"a","$schema":"https://example.com/dialect"}}}`, `$schema must be https://json-schema.org/draft/2020-12/schema, or be left out`},
		{`{"x":"` + strings.Repeat("x", MaxTypeFile) + `"}`, `the file is larger than 256 KiB`},
	} {
		_, err := NewEventTypes(nil, DeclaredType{Name: "a", Schema: TypeFile{"a.json", []byte(tc.schema)}})
		if err == nil || !strings.HasPrefix(err.Error(), "event_type a: schema: a.json: ") || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), schemaBase) {
			t.Errorf("%.100s: got %v, want %s", tc.schema, err, tc.want)
		}
	}
}

// TestSchemasThatAreTaken has what only looks like a reference out, or like another dialect.
func TestSchemasThatAreTaken(t *testing.T) {
	t.Parallel()
	for _, schema := range []string{
		`{}`,
		"\n{ \"$schema\" : \"https://json-schema.org/draft/2020-12/schema#\" }\n",
		`{"$id":"https://example.com/a.json","$ref":"b.json","$defs":{"b":{"$id":"b.json","type":"object"}}}`,
		`{"properties":{"$ref":{"type":"string"},"$schema":{"type":"string"},"const":{"type":"string"}}}`,
		`{"examples":[{"$schema":"x","$ref":"https://json-schema.org/draft/2020-12/schema"}],"default":{"$schema":"x"}}`,
		`{"enum":[{"$schema":"x"}]}`,
		`{"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"properties":{"next":{"$ref":"#/$defs/n"}}}}}`,
		`{"properties":{"a":{"$ref":"#n"}},"$defs":{"n":{"$anchor":"n"}}}`,
	} {
		if _, err := NewEventTypes(nil, DeclaredType{Name: "a", Schema: TypeFile{"a.json", []byte(schema)}}); err != nil {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

const orderSchema = `{
	"type": "object", "additionalProperties": false, "required": ["id"],
	"properties": {
		"id": {"type": "string", "minLength": 1, "pattern": "^[a-z]+$"},
		"state": {"enum": ["new", "paid"]},
		"kind": {"const": 1},
		"total": {"type": ["number", "null"], "minimum": 0, "exclusiveMaximum": 1e6, "multipleOf": 0.01},
		"items": {"type": "array", "maxItems": 4, "uniqueItems": true, "items": {"$ref": "#/$defs/item"}},
		"tags": {"contains": {"const": "x"}, "minItems": 1},
		"more": {"propertyNames": {"maxLength": 2}, "maxProperties": 3, "not": {"required": ["no"]}, "dependentRequired": {"a": ["b"]}},
		"any": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
		"one": {"oneOf": [{"type": "integer"}, {"minimum": 5}]},
		"shut": false
	},
	"$defs": {"item": {"required": ["price", "sku"], "properties": {"price": {"type": "number"}}, "unevaluatedProperties": {"type": "string"}}}
}`

// TestMisfits has data that do not fit, and the places that are named.
func TestMisfits(t *testing.T) {
	t.Parallel()
	schema, err := compileEventSchema([]byte(orderSchema))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ data, want string }{
		{`{"id":"a"}`, ""},
		{`{"id":"a","total":0.29,"items":[{"price":1e3,"sku":"s","x":"y"}],"kind":1.0,"one":1,"any":1,"tags":["x"],"state":"new","more":{"a":1,"b":2}}`, ""},
		{`{}`, "data.id: The schema requires this member."},
		{`{"id":1,"x":2,"a":3}`, "data.a: The schema has no such member. data.id: This must be a string. data.x: The schema has no such member."},
		{`{"id":""}`, "data.id: This must have at least 1 characters. data.id: This must match the pattern ^[a-z]+$."},
		{`{"id":"a","state":"lost"}`, `data.state: This must be one of the values that the schema lists: "new", "paid".`},
		{`{"id":"a","kind":2}`, "data.kind: This must be the value that the schema names: 1."},
		{`{"id":"a","total":"1"}`, "data.total: This must be null or a number."},
		{`{"id":"a","total":-0.001}`, "data.total: This must be 0 or more. data.total: This must be a multiple of 0.01."},
		{`{"id":"a","total":1000000}`, "data.total: This must be less than 1e+06."},
		{`{"id":"a","items":[{"price":1,"sku":"s"},{"price":"1","sku":"s"},{"sku":"s","x":1},3]}`, "data.items.1.price: This must be a number. data.items.2.price: The schema requires this member. data.items.2.x: This must be a string."},
		{`{"id":"a","items":[1,1]}`, "data.items: The elements must differ, but those at 0 and 1 are the same."},
		{`{"id":"a","items":[0,1,2,3,4]}`, "data.items: This must have at most 4 elements."},
		{`{"id":"a","tags":["y"]}`, "data.tags: This must have an element that fits the schema in contains."},
		{`{"id":"a","more":{"long":1,"no":1}}`, "data: The schema allows no member named long. data.more: The schema excludes this value, by not."},
		{`{"id":"a","more":{"a":1}}`, "data.more.b: The schema requires this member beside a."},
		{`{"id":"a","any":[]}`, "data.any: This must fit one of the schemas in anyOf."},
		{`{"id":"a","one":6}`, "data.one: This must fit exactly one of the schemas in oneOf."},
		{`{"id":"a","shut":null}`, "data.shut: The schema allows nothing here."},
		{`{"id":"a","total":1e401}`, "data.total: This number cannot be checked against the schema: it may have 400 digits, and an exponent up to 400."},
		{`{"id":"a","total":1E-99999999999999999999}`, "data.total: This number cannot be checked against the schema: it may have 400 digits, and an exponent up to 400."},
		{`{"id":"a","items":[{"x":1` + strings.Repeat("0", 400) + `}]}`, "data.items.0.x: This number cannot be checked against the schema: it may have 400 digits, and an exponent up to 400."},
	} {
		if got := misfitsOf(schema, tc.data); got != tc.want {
			t.Errorf("%.200s: got\n%s, want\n%s", tc.data, got, tc.want)
		}
	}
}

// misfitsOf is what check says, in one line.
func misfitsOf(s *eventSchema, data string) string {
	var errs fieldErrors
	s.check(jsontext.Value(data), &errs)
	var texts []string
	for _, e := range errs.errs {
		texts = append(texts, e.Field+": "+e.Detail)
	}
	return strings.Join(texts, " ")
}

// TestMisfitsAreBounded has data in which nothing fits: few places are named, and of those that
// would take too much memory to tell none.
func TestMisfitsAreBounded(t *testing.T) {
	t.Parallel()
	schema, err := compileEventSchema([]byte(`{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"anyOf":[{"type":"string"},{"type":"array","items":{"$ref":"#/$defs/a"}}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	list := func(depth, n int) string {
		return `{"a":` + strings.Repeat("[", depth) + strings.Repeat("1,", n-1) + "1" + strings.Repeat("]", depth) + "}"
	}
	const tooMany = "data: This does not fit the schema of its event type. It has too many values to say where."
	for _, tc := range []struct {
		depth, n int
		want     string
	}{
		{1, 50_000, "data.a: This must fit one of the schemas in anyOf."},
		{1, 500_000, tooMany},
		{9_000, 5_000, tooMany},
	} {
		if got := misfitsOf(schema, list(tc.depth, tc.n)); got != tc.want {
			t.Errorf("%d in %d arrays: got %.300s", tc.n, tc.depth, got)
		}
	}
	flat, err := compileEventSchema([]byte(`{"properties":{"a":{"items":{"type":"string"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range maxFieldErrors {
		want = append(want, fmt.Sprintf("data.a.%d: This must be a string.", i))
	}
	if got := misfitsOf(flat, list(1, 1000)); got != strings.Join(want, " ") {
		t.Errorf("got %s", got)
	}
}

// TestLargeDataWait checks large data while as many are checked as may be: they wait, and those
// whose caller has gone are given up.
func TestLargeDataWait(t *testing.T) {
	types, err := NewEventTypes(nil, DeclaredType{Name: "a", Schema: TypeFile{"a.json", []byte(`{}`)}})
	if err != nil {
		t.Fatal(err)
	}
	engine := delivery.NewEngine(memory.New())
	for range cap(checking) {
		checking <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	large := []delivery.NewEvent{{Type: "a", Data: jsontext.Value(`{"x":"` + strings.Repeat("x", largeData) + `"}`)}}
	go func() { done <- types.checkSchemas(ctx, engine, "a", large, false) }()
	small := []delivery.NewEvent{{Type: "a", Data: jsontext.Value(`{}`)}}
	if err := types.checkSchemas(t.Context(), engine, "a", small, false); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	go func() { done <- types.checkSchemas(t.Context(), engine, "a", large, false) }()
	for range cap(checking) {
		<-checking
	}
	if err := <-done; err != nil || len(checking) != 0 {
		t.Errorf("got %v, and %d are checked", err, len(checking))
	}
}

// TestLargeDataOfOneTenant has a tenant check as much as it may: no other waits for it.
func TestLargeDataOfOneTenant(t *testing.T) {
	types, err := NewEventTypes(nil, DeclaredType{Name: "a", Schema: TypeFile{"a.json", []byte(`{}`)}})
	if err != nil {
		t.Fatal(err)
	}
	engine := delivery.NewEngine(memory.New())
	turns := max(1, runtime.GOMAXPROCS(0)/2)
	for range turns {
		leave, err := engine.Turn(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(leave)
	}
	if turns >= cap(checking) {
		t.Errorf("a tenant has %d of %d places", turns, cap(checking))
	}
	large := []delivery.NewEvent{{Type: "a", Data: jsontext.Value(`{"x":"` + strings.Repeat("x", largeData) + `"}`)}}
	if err := types.checkSchemas(t.Context(), engine, "b", large, false); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := types.checkSchemas(ctx, engine, "a", large, false); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more did not wait: %v", err)
	}
}

// FuzzEventSchema checks whatever is an object against a schema with most keywords: nothing
// panics, and what does not fit is said in sentences.
func FuzzEventSchema(f *testing.F) {
	schema, err := compileEventSchema([]byte(orderSchema))
	if err != nil {
		f.Fatal(err)
	}
	for _, data := range []string{`{}`, `{"id":"a","total":1e400,"items":[{"price":null}]}`, `{"more":{"abc":[]},"one":1e-400}`} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		value := jsontext.Value(data)
		if !value.IsValid() || value.Kind() != jsontext.KindBeginObject {
			return
		}
		var errs fieldErrors
		schema.check(value, &errs)
		decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if w := (weight{}); w.add(decoded) && (schema.whole.Validate(decoded) == nil) != (len(errs.errs) == 0) {
			t.Errorf("%s: the library says %v, and check %v", data, schema.whole.Validate(decoded), errs.errs)
		}
		for _, e := range errs.errs {
			if !strings.HasPrefix(e.Field, "data") || !strings.HasSuffix(e.Detail, ".") {
				t.Errorf("%s: got %+v", data, e)
			}
		}
	})
}

// BenchmarkEventSchema checks the data of an event of some 300 bytes.
func BenchmarkEventSchema(b *testing.B) {
	schema, err := compileEventSchema([]byte(orderSchema))
	if err != nil {
		b.Fatal(err)
	}
	data := jsontext.Value(`{"id":"order","state":"paid","total":129.90,"items":[{"price":99.95,"sku":"a-1","title":"` + strings.Repeat("x", 100) + `"},{"price":29.95,"sku":"b-2","note":"` + strings.Repeat("y", 60) + `"}],"tags":["x"]}`)
	b.ReportAllocs()
	for b.Loop() {
		var errs fieldErrors
		if schema.check(data, &errs); len(errs.errs) > 0 {
			b.Fatal(errs.errs)
		}
	}
}
