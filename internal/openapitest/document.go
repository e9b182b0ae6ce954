// Package openapitest checks, in tests, that exchanges with the API are as its OpenAPI
// document says.
package openapitest

import (
	"bytes"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// Document is the OpenAPI document of an API.
type Document struct {
	Root map[string]any // the decoded document, in which objects take no unknown members

	compiler *jsonschema.Compiler
	mu       sync.Mutex
	schemas  map[string]*jsonschema.Schema // compiled schemas, by place
}

// StreamType is the media type of a stream of events.
const StreamType = "text/event-stream"

// Raw returns the document of an API with these event types, or with the default ones if
// there are no names.
func Raw(names ...string) ([]byte, error) {
	types, err := api.NewEventTypes(names)
	if err != nil {
		return nil, err
	}
	return RawOf(api.Backend{EventTypes: types})
}

// RawOf returns the document of an API that has of its backend only what the document tells.
func RawOf(b api.Backend) ([]byte, error) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/api/openapi.json", nil)
	if err := api.New(b).Serve(w, r, api.Caller{}); err != nil {
		return nil, err
	}
	return w.Body.Bytes(), nil
}

// New decodes a document.
func New(raw []byte) (*Document, error) {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	root, ok := decoded.(map[string]any)
	if !ok {
		return nil, errors.New("the document is not an object")
	}
	closeObjects(root["components"])
	d := &Document{Root: root, compiler: jsonschema.NewCompiler(), schemas: make(map[string]*jsonschema.Schema)}
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource("openapi.json", root)
}

// Standard is the document for the default event types.
var Standard = sync.OnceValues(func() (*Document, error) {
	raw, err := Raw()
	if err != nil {
		return nil, err
	}
	return New(raw)
})

// Operations are all operations of the API, such as "GET api/events/*".
func Operations() ([]string, error) {
	d, err := Standard()
	if err != nil {
		return nil, err
	}
	var operations []string
	paths, _ := d.Root["paths"].(map[string]any)
	for path := range paths {
		methods, _ := paths[path].(map[string]any)
		for method := range methods {
			operations = append(operations, strings.ToUpper(method)+" "+strings.NewReplacer("{id}", "*", "{webhook_id}", "*").Replace(path[1:]))
		}
	}
	slices.Sort(operations)
	return operations, nil
}

// IDs are the names under which an operation takes ids, and cursors, which have some: "*" for one
// in its path, parameters, and members of its body.
func IDs(operation string) ([]string, error) {
	d, err := Standard()
	if err != nil {
		return nil, err
	}
	method, path, _ := strings.Cut(operation, " ")
	names := make(map[string]bool)
	if strings.Contains(path, "*") {
		names["*"] = true
	}
	described, _ := d.At(d.Root, "paths", "/"+strings.ReplaceAll(path, "*", "{id}"), strings.ToLower(method))
	d.addIDs(names, described, "parameters")
	d.addIDs(names, described, "requestBody")
	return slices.Sorted(maps.Keys(names)), nil
}

// addIDs adds what takes an id in a part of the document, and in what that refers to.
func (d *Document) addIDs(names map[string]bool, from any, path ...string) {
	part, _ := d.At(from, path...)
	switch part := part.(type) {
	case []any:
		for _, element := range part {
			d.addIDs(names, map[string]any{"": element}, "")
		}
	case map[string]any:
		if name, ok := part["name"].(string); ok && isID(name) && part["in"] == "query" {
			names[name] = true
		}
		members, _ := part["properties"].(map[string]any)
		for name := range members {
			if isID(name) {
				names[name] = true
			}
		}
		for name := range part {
			d.addIDs(names, part, name)
		}
	}
}

func isID(name string) bool {
	if name == "client_id" { // of OAuth 2.0, and nothing of ours
		return false
	}
	return name == "cursor" || strings.HasSuffix(name, "_id") || strings.HasSuffix(name, "_ids")
}

// closeObjects makes schemas refuse members that they do not name. Clients must accept
// members that are added later, but each must be documented.
func closeObjects(v any) {
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			closeObjects(element)
		}
	case map[string]any:
		_, named := v["properties"].(map[string]any)
		if _, ok := v["additionalProperties"]; named && !ok {
			v["additionalProperties"] = false
		}
		for _, member := range v {
			closeObjects(member)
		}
	}
}

// At follows a path from a value of the document, and references on the way. It returns
// the value there and its place.
func (d *Document) At(from any, path ...string) (any, string) {
	place := ""
	for _, key := range path {
		object, _ := from.(map[string]any)
		from = object[key]
		place += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		if object, ok := from.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok {
				from, place = d.At(d.Root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			}
		}
	}
	return from, place
}

// validate checks a value against the schema at a place.
func (d *Document) validate(place string, value any) error {
	schema, err := d.Compile(place)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// Compile compiles the schema at a place.
func (d *Document) Compile(place string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if schema := d.schemas[place]; schema != nil {
		return schema, nil
	}
	schema, err := d.compiler.Compile("openapi.json#" + strings.NewReplacer("{", "%7B", "}", "%7D").Replace(place))
	if err == nil {
		d.schemas[place] = schema
	}
	return schema, err
}

// CheckJSON checks JSON against the schema at a place.
func (d *Document) CheckJSON(place string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return d.validate(place, value)
}
