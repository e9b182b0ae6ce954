package openapitest

import (
	"bufio"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Exchange is a request and its response.
type Exchange struct {
	Method, URL string
	Header      http.Header
	Body        string

	Status         int
	ResponseHeader http.Header
	ResponseBody   []byte // only the first event of a stream
}

// Check returns an error if an exchange with the API is not as the document says. It
// ignores exchanges with others, such as a refusal by Caddy itself.
func (d *Document) Check(e *Exchange) error {
	u, err := url.Parse(e.URL)
	if err != nil {
		return err
	}
	_, path, ok := strings.Cut(u.Path, "/api/")
	if !ok || e.ResponseHeader.Get("X-Content-Type-Options") == "" {
		return nil
	}
	template := d.findPath("/api/" + path)
	method := strings.ToLower(e.Method)
	if e.Method == http.MethodHead {
		method = "get"
	}
	operation, _ := d.At(d.Root, "paths", template, method)
	if operation == nil {
		return d.checkUndocumented(e, template != "")
	}
	place := []string{"paths", template, method}
	if err := d.checkResponse(e, place); err != nil {
		return fmt.Errorf("%s %s answers %d in a way that is not documented: %w: %s", e.Method, u.Path, e.Status, err, e.ResponseBody)
	}
	if e.Status >= 300 {
		return nil
	}
	if err := errors.Join(d.checkBody(e, place), d.checkQuery(u.Query(), operation)); err != nil {
		return fmt.Errorf("%s %s accepts a request that is not documented: %w: %.1000s", e.Method, u.Path, err, e.Body)
	}
	return nil
}

func (d *Document) findPath(path string) string {
	paths, _ := d.Root["paths"].(map[string]any)
	if _, ok := paths[path]; ok {
		return path // it goes before templates that match as well
	}
	parts := strings.Split(path, "/")
	for template := range paths {
		want := strings.Split(template, "/")
		ok := len(want) == len(parts)
		for i := 0; ok && i < len(want); i++ {
			ok = want[i] == parts[i] || strings.HasPrefix(want[i], "{") && parts[i] != ""
		}
		if ok {
			return template
		}
	}
	return ""
}

// checkUndocumented checks the response to a request that is not in the document. The
// path may be known for other methods.
func (d *Document) checkUndocumented(e *Exchange, known bool) error {
	want := http.StatusNotFound
	if known {
		want = http.StatusMethodNotAllowed
	}
	if e.Status != want && e.Status != http.StatusServiceUnavailable {
		return fmt.Errorf("%s %s is not documented and answers %d", e.Method, e.URL, e.Status)
	}
	return d.CheckJSON("/components/schemas/Problem", e.ResponseBody)
}

func (d *Document) checkResponse(e *Exchange, place []string) error {
	place = append(place[:len(place):len(place)], "responses", strconv.Itoa(e.Status))
	response, _ := d.At(d.Root, place...)
	if response == nil {
		return errors.New("the status is not documented")
	}
	headers, _ := d.At(response, "headers")
	names, _ := headers.(map[string]any)
	for name := range names {
		if required, _ := d.At(headers, name, "required"); required == true && e.ResponseHeader.Get(name) == "" {
			return fmt.Errorf("the header %s is missing", name)
		}
	}
	content, _ := d.At(response, "content")
	if content == nil {
		if len(e.ResponseBody) > 0 || e.ResponseHeader.Get("Content-Type") != "" {
			return errors.New("a body is not documented")
		}
		return nil
	}
	contentType := e.ResponseHeader.Get("Content-Type")
	schema, at := d.At(d.Root, append(place, "content", contentType, "schema")...)
	switch {
	case schema == nil:
		return fmt.Errorf("the content type %q is not documented", contentType)
	case e.Method == http.MethodHead:
		return nil
	case contentType == StreamType:
		return d.validate(at, string(e.ResponseBody))
	}
	return d.CheckJSON(at, e.ResponseBody)
}

func (d *Document) checkBody(e *Exchange, place []string) error {
	place = append(place[:len(place):len(place)], "requestBody")
	body, _ := d.At(d.Root, place...)
	if body == nil {
		return nil // the API ignores the body
	}
	if e.Body == "" {
		if required, _ := d.At(body, "required"); required != false {
			return errors.New("the body is missing")
		}
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(e.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	schema, at := d.At(d.Root, append(place, "content", mediaType, "schema")...)
	if schema == nil {
		return fmt.Errorf("the content type %q is not documented", mediaType)
	}
	return d.CheckJSON(at, []byte(e.Body))
}

func (d *Document) checkQuery(query url.Values, operation any) error {
	list, _ := d.At(operation, "parameters")
	parameters, _ := list.([]any)
	places := make(map[string]any)
	for _, p := range parameters {
		if in, _ := d.At(p, "in"); in == "query" {
			name, _ := d.At(p, "name")
			places[fmt.Sprint(name)], _ = d.At(p, "schema")
		}
	}
	for name := range query {
		schema, ok := places[name].(map[string]any)
		if !ok {
			return fmt.Errorf("the parameter %s is not documented", name)
		}
		var value any = query.Get(name)
		switch schema["type"] {
		case "integer":
			n, err := strconv.Atoi(query.Get(name))
			if err != nil {
				return err
			}
			value = n
		case "boolean":
			b, err := strconv.ParseBool(query.Get(name))
			if err != nil {
				return err
			}
			value = b
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

var undocumented struct {
	sync.Mutex
	errs []error
}

// Check checks an exchange against the document for the default event types, and notes
// the error for Undocumented.
func Check(e *Exchange) error {
	d, err := Standard()
	if err == nil {
		err = d.Check(e)
	}
	if err != nil {
		undocumented.Lock()
		defer undocumented.Unlock()
		undocumented.errs = append(undocumented.errs, err)
	}
	return err
}

// Undocumented returns the errors that Check has noted, whatever tests did about them.
func Undocumented() []error {
	undocumented.Lock()
	defer undocumented.Unlock()
	return undocumented.errs
}

// ReadEvent reads the first event of a stream, including the empty line that ends it.
func ReadEvent(r *bufio.Reader) ([]byte, error) {
	var event []byte
	for {
		line, err := r.ReadBytes('\n')
		event = append(event, line...)
		if err != nil || len(line) == 1 {
			return event, err
		}
	}
}
