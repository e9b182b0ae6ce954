package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

const openapiPath = "/api/openapi.json"

// getOpenAPI handles GET /api/openapi.json. The document is made when it is first asked
// for, and kept. Only where the API is mounted is added each time, since one handler can
// be in many places.
func getOpenAPI(_ context.Context, c *call) (response, error) {
	document, err := c.api.openapi()
	if err != nil {
		return response{}, err
	}
	place, err := json.Marshal(&openapiPlace{Servers: []openapiServer{{URL: mountPath(c.URL)}}})
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: join(document, place)}, nil
}

// mountPath is where the API is mounted, by the URL at which a client asked for the
// document.
func mountPath(asked *url.URL) string {
	if asked == nil {
		return "/"
	}
	path, ok := strings.CutSuffix(asked.EscapedPath(), openapiPath)
	if !ok {
		return "/" // rewritten in a way that says nothing about the other paths
	}
	// Two slashes would begin a host name.
	return "/" + strings.TrimLeft(path, "/")
}

// newOpenAPI makes the document once, when it is first asked for.
func newOpenAPI(types *EventTypes, signing Signing) func() (jsontext.Value, error) {
	return sync.OnceValues(func() (jsontext.Value, error) { return describeAPI(types, signing) })
}

// describeAPI makes the document, without servers, out of the routes and the types of
// requests and responses.
func describeAPI(types *EventTypes, signing Signing) (jsontext.Value, error) {
	defined, err := newSchemas(types)
	if err != nil {
		return nil, err
	}
	schemas := make(map[string]any, len(defined)) // also those that are configured
	for name, schema := range defined {
		schemas[name] = schema
	}
	webhooks, err := webhookDocs(types, signing, schemas)
	if err != nil {
		return nil, err
	}
	document := openapiDocument{
		OpenAPI: "3.1.1",
		Info:    openapiInfo{Title: "Caddy Webhooks", Version: Version(), Description: openapiDescription},
		Paths:   make(map[string]map[string]openapiOperation, len(routes)), Webhooks: webhooks,
		Components: openapiComponents{
			Schemas: schemas, Responses: problemResponses(), SecuritySchemes: securitySchemes,
		},
	}
	for i := range routes {
		r := &routes[i]
		if !r.ofAPI() {
			continue
		}
		described := make(map[string]openapiOperation, len(r.operations))
		for j := range r.operations {
			op := &r.operations[j]
			one, err := describe(r, op)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", op.method, r.path, err)
			}
			described[strings.ToLower(op.method)] = one
		}
		document.Paths["/"+strings.ReplaceAll(strings.Replace(r.path, "*", "{id}", 1), "*", "{webhook_id}")] = described
	}
	return json.Marshal(&document, json.Deterministic(true))
}

// docOf finds the documentation of an operation.
func docOf(operation string) (operationDoc, bool) {
	if doc, ok := replayDocs[operation]; ok {
		return doc, true
	}
	doc, ok := operationDocs[operation]
	return doc, ok
}

var errUndocumented = errors.New("there is no documentation for it")

// describe describes an operation: what it is for comes from operationDocs, all else
// from what serving it goes by.
func describe(r *route, op *operation) (openapiOperation, error) {
	doc, ok := docOf(op.method + " " + r.path)
	if !ok {
		return openapiOperation{}, errUndocumented
	}
	described := openapiOperation{
		OperationID: doc.id, Summary: doc.summary, Description: whoMay(op) + doc.description,
		Security: securityOf(op), RequestBody: requestBody(doc.input, op.body),
		Responses: map[string]openapiResponse{strconv.Itoa(doc.status): doc.response()},
	}
	for status, output := range doc.also {
		described.Responses[strconv.Itoa(status)] = (&operationDoc{status: status, output: output}).response()
	}
	hasID := strings.Contains(r.path, "*")
	if hasID {
		described.Parameters = append(described.Parameters, openapiParameter{Name: "id", In: "path", Required: true, Schema: uuidSchema()})
	}
	if strings.Count(r.path, "*") > 1 {
		described.Parameters = append(described.Parameters, openapiParameter{Name: "webhook_id", In: "path", Required: true, Schema: uuidSchema()})
	}
	for _, name := range op.query {
		parameter, ok := queryParameters()[name]
		if !ok {
			return openapiOperation{}, fmt.Errorf("query parameter %s: %w", name, errUndocumented)
		}
		parameter.Name, parameter.In = name, "query"
		if name == "limit" && doc.whole {
			parameter.Schema = &jsonschema.Schema{Type: "integer", Minimum: new(1.0), Maximum: new(float64(maxLimit))}
		}
		if meaning := doc.parameters[name]; meaning != "" {
			parameter.Description = meaning
		}
		if schema := doc.values[name]; schema != nil {
			parameter.Schema = schema
		}
		described.Parameters = append(described.Parameters, parameter)
	}
	if doc.stream {
		described.Parameters = append(described.Parameters, openapiParameter{
			Name: "Last-Event-ID", In: "header", Description: "The id of the last event received. An EventSource sends it by itself.",
			Schema: &jsonschema.Schema{Type: "string"},
		})
	}
	for _, status := range refusals(op, hasID, &doc) {
		described.Responses[strconv.Itoa(status)] = openapiResponse{Ref: "#/components/responses/" + responseName(status)}
	}
	return described, nil
}

// refusals are the statuses with which an operation may refuse.
func refusals(op *operation, hasID bool, doc *operationDoc) []int {
	statuses := []int{http.StatusBadRequest, http.StatusServiceUnavailable}
	if op.who > Nobody { // no token, or one that allows something else
		statuses = append(statuses, http.StatusUnauthorized, http.StatusTooManyRequests, http.StatusForbidden)
	}
	if op.body != noBody {
		statuses = append(statuses, http.StatusRequestTimeout, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity,
			http.StatusTooManyRequests)
	}
	if hasID {
		statuses = append(statuses, http.StatusNotFound)
	}
	return append(statuses, doc.refusals...)
}

// requestBody is what an operation takes, nil for nothing.
func requestBody(input string, kind bodyKind) *openapiRequestBody {
	if kind == noBody {
		return nil
	}
	content := make(map[string]openapiMedia)
	for _, mediaType := range kind.mediaTypes() {
		content[mediaType] = openapiMedia{Schema: schemaRef(input)}
	}
	return &openapiRequestBody{Required: kind != optionalBody && kind != emptyBody, Content: content}
}

// Version is the version of this module in the program.
func Version() string {
	const module = "github.com/caddy-webhooks/caddy-webhooks"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range append(info.Deps, &info.Main) {
			if dep.Path == module && dep.Version != "" {
				return dep.Version
			}
		}
	}
	return "(devel)"
}
