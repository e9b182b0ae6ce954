package caddymodule_test

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)

// openapi is the OpenAPI document against which answers are held.
type openapi struct {
	doc      map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // compiled, by place
}

// standardOpenAPI is the document for the default event types.
var standardOpenAPI = sync.OnceValues(func() (*openapi, error) {
	raw, err := caddymodule.OpenAPI()
	if err != nil {
		return nil, err
	}
	return newOpenAPI(raw)
})

func newOpenAPI(raw []byte) (*openapi, error) {
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	doc, ok := decoded.(map[string]any)
	if !ok {
		return nil, errors.New("the document is not an object")
	}
	closeObjects(doc["components"])
	o := &openapi{doc: doc, compiler: jsonschema.NewCompiler(), schemas: make(map[string]*jsonschema.Schema)}
	o.compiler.AssertFormat()
	return o, o.compiler.AddResource("openapi.json", doc)
}

// closeObjects makes schemas refuse members that they do not name. Clients must
// take members that are added one day, but each must be documented.
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

// at finds a value of the document, following references.
func (o *openapi) at(from any, path ...string) (any, string) {
	place := ""
	for _, key := range path {
		object, _ := from.(map[string]any)
		from = object[key]
		place += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		if object, ok := from.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok {
				from, place = o.at(o.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			}
		}
	}
	return from, place
}

// validate holds a value against the schema at a place.
func (o *openapi) validate(place string, value any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	schema := o.schemas[place]
	if schema == nil {
		var err error
		if schema, err = o.compiler.Compile("openapi.json#" + strings.ReplaceAll(place, "{id}", "%7Bid%7D")); err != nil {
			return err
		}
		o.schemas[place] = schema
	}
	return schema.Validate(value)
}

// exchange is a request and its answer.
type exchange struct {
	method string
	url    string
	header http.Header
	body   string
	reply  reply
}

// check says what of an exchange with the API the document does not say. What is
// not the API's, such as a refusal by Caddy itself, it leaves alone.
func (o *openapi) check(e *exchange) error {
	u, err := url.Parse(e.url)
	if err != nil {
		return err
	}
	_, path, ok := strings.Cut(u.Path, "/api/")
	if !ok || e.reply.header.Get("X-Content-Type-Options") == "" {
		return nil
	}
	template := o.findPath("/api/" + path)
	method := strings.ToLower(e.method)
	if e.method == http.MethodHead {
		method = "get"
	}
	operation, _ := o.at(o.doc, "paths", template, method)
	if operation == nil {
		return o.checkUndocumented(e, template != "")
	}
	place := []string{"paths", template, method}
	if err := o.checkAnswer(e, place); err != nil {
		return fmt.Errorf("%s %s answers %d with what is not documented: %w: %s", e.method, u.Path, e.reply.status, err, e.reply.body)
	}
	if e.reply.status >= 300 {
		return nil
	}
	if err := errors.Join(o.checkBody(e, place), o.checkQuery(u.Query(), operation)); err != nil {
		return fmt.Errorf("%s %s takes what is not documented: %w: %.1000s", e.method, u.Path, err, e.body)
	}
	return nil
}

func (o *openapi) findPath(path string) string {
	paths, _ := o.doc["paths"].(map[string]any)
	if _, ok := paths[path]; ok {
		return path // before the templates that match, too
	}
	parts := strings.Split(path, "/")
	for template := range paths {
		want := strings.Split(template, "/")
		ok := len(want) == len(parts)
		for i := 0; ok && i < len(want); i++ {
			ok = want[i] == parts[i] || want[i] == "{id}" && parts[i] != ""
		}
		if ok {
			return template
		}
	}
	return ""
}

// checkUndocumented checks the answer to what is not in the document.
func (o *openapi) checkUndocumented(e *exchange, known bool) error {
	want := http.StatusNotFound
	if known {
		want = http.StatusMethodNotAllowed
	}
	if e.reply.status != want && e.reply.status != http.StatusServiceUnavailable {
		return fmt.Errorf("%s %s is not documented and answers %d", e.method, e.url, e.reply.status)
	}
	return o.checkJSON("/components/schemas/Problem", e.reply.body)
}

func (o *openapi) checkAnswer(e *exchange, place []string) error {
	place = append(place[:len(place):len(place)], "responses", strconv.Itoa(e.reply.status))
	response, _ := o.at(o.doc, place...)
	if response == nil {
		return errors.New("no such status")
	}
	headers, _ := o.at(response, "headers")
	names, _ := headers.(map[string]any)
	for name := range names {
		if e.reply.header.Get(name) == "" {
			return fmt.Errorf("there is no header %s", name)
		}
	}
	content, _ := o.at(response, "content")
	if content == nil {
		if len(e.reply.body) > 0 || e.reply.header.Get("Content-Type") != "" {
			return errors.New("a body")
		}
		return nil
	}
	contentType := e.reply.header.Get("Content-Type")
	schema, at := o.at(o.doc, append(place, "content", contentType, "schema")...)
	switch {
	case schema == nil:
		return fmt.Errorf("no such type: %q", contentType)
	case e.method == http.MethodHead:
		return nil
	case contentType == streamType:
		return o.validate(at, string(e.reply.body))
	}
	return o.checkJSON(at, e.reply.body)
}

func (o *openapi) checkBody(e *exchange, place []string) error {
	place = append(place[:len(place):len(place)], "requestBody")
	body, _ := o.at(o.doc, place...)
	if body == nil {
		return nil // whatever is sent is left alone
	}
	if e.body == "" {
		if required, _ := o.at(body, "required"); required != false {
			return errors.New("no body")
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(e.header.Get("Content-Type"))
	if err != nil {
		return err
	}
	schema, at := o.at(o.doc, append(place, "content", mediaType, "schema")...)
	if schema == nil {
		return fmt.Errorf("no such type: %q", mediaType)
	}
	return o.checkJSON(at, []byte(e.body))
}

func (o *openapi) checkQuery(query url.Values, operation any) error {
	list, _ := o.at(operation, "parameters")
	parameters, _ := list.([]any)
	places := make(map[string]any)
	for _, p := range parameters {
		if in, _ := o.at(p, "in"); in == "query" {
			name, _ := o.at(p, "name")
			places[fmt.Sprint(name)], _ = o.at(p, "schema")
		}
	}
	for name := range query {
		schema, ok := places[name].(map[string]any)
		if !ok {
			return fmt.Errorf("no such parameter: %s", name)
		}
		var value any = query.Get(name)
		switch schema["type"] {
		case "integer":
			n, err := strconv.Atoi(query.Get(name))
			if err != nil {
				return err
			}
			value = n
		case "array":
			var all []any
			for each := range strings.SplitSeq(query.Get(name), ",") {
				all = append(all, each)
			}
			value = all
		}
		compiler := jsonschema.NewCompiler()
		compiler.AssertFormat()
		if err := compiler.AddResource("parameter.json", schema); err != nil {
			return err
		}
		compiled, err := compiler.Compile("parameter.json")
		if err != nil {
			return err
		}
		if err := compiled.Validate(value); err != nil {
			return fmt.Errorf("parameter %s: %w", name, err)
		}
	}
	return nil
}

func (o *openapi) checkJSON(place string, body []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return o.validate(place, value)
}

// undocumented are the exchanges that the document does not allow, whatever their
// tests made of them.
var undocumented struct {
	sync.Mutex
	errs []error
}

// checkDocumented holds an exchange against the document for the default types.
func checkDocumented(e *exchange) error {
	o, err := standardOpenAPI()
	if err == nil {
		err = o.check(e)
	}
	if err != nil {
		undocumented.Lock()
		defer undocumented.Unlock()
		undocumented.errs = append(undocumented.errs, err)
	}
	return err
}
