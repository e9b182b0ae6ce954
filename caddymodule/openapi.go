package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

const openapiPath = "/api/openapi.json"

// getOpenAPI answers GET /api/openapi.json. The document is made when it is first
// asked for and kept with the event types that it names; only where the API is
// mounted is added each time, since one handler can be in many places.
func getOpenAPI(ctx context.Context, c *call) (answer, error) {
	document, err := c.app.types.openapi()
	if err != nil {
		return answer{}, err
	}
	servers, err := json.Marshal([]openapiServer{{URL: mountPath(ctx)}})
	if err != nil {
		return answer{}, err
	}
	body := make(jsontext.Value, 0, len(document)+len(servers)+len(`,"servers":`))
	body = append(body, document[:len(document)-1]...) // without its last brace
	body = append(body, `,"servers":`...)
	body = append(body, servers...)
	return answer{status: http.StatusOK, body: append(body, '}')}, nil
}

// mountPath is where the API is mounted: what the request's path had in front
// before Caddy took it off.
func mountPath(ctx context.Context) string {
	original, ok := ctx.Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok || original.URL == nil {
		return "/"
	}
	path, ok := strings.CutSuffix(original.URL.EscapedPath(), openapiPath)
	if !ok {
		return "/" // rewritten in a way that says nothing about the other paths
	}
	// Two slashes would begin a host name.
	return "/" + strings.TrimLeft(path, "/")
}

// newOpenAPI makes the document, without servers, out of the routes and the types
// that the calls take and answer.
func newOpenAPI(types *eventTypes) (jsontext.Value, error) {
	schemas, err := newSchemas(types)
	if err != nil {
		return nil, err
	}
	document := openapiDocument{
		OpenAPI: "3.1.1",
		Info:    openapiInfo{Title: "Caddy Webhooks", Version: moduleVersion(), Description: openapiDescription},
		Paths:   make(map[string]map[string]openapiOperation, len(routes)),
		Components: openapiComponents{
			Schemas: schemas, Responses: problemResponses(), SecuritySchemes: securitySchemes,
		},
	}
	for i := range routes {
		r := &routes[i]
		if !r.ofAPI() {
			continue
		}
		operations := make(map[string]openapiOperation, len(r.endpoints))
		for j := range r.endpoints {
			operation, err := newOperation(r, &r.endpoints[j])
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", r.endpoints[j].method, r.path, err)
			}
			operations[strings.ToLower(r.endpoints[j].method)] = operation
		}
		document.Paths["/"+strings.ReplaceAll(r.path, "*", "{id}")] = operations
	}
	return json.Marshal(&document, json.Deterministic(true))
}

var errUndocumented = errors.New("there is no documentation for it")

// newOperation describes an endpoint: what it is for comes from callDocs, all else
// from what the handler goes by.
func newOperation(r *route, e *endpoint) (openapiOperation, error) {
	doc, ok := callDocs[e.method+" "+r.path]
	if !ok {
		return openapiOperation{}, errUndocumented
	}
	operation := openapiOperation{
		OperationID: doc.id, Summary: doc.summary, Description: whoMay[e.who] + doc.description,
		Security: securityOf(e.who), RequestBody: requestBody(doc.input, e.body),
		Responses: map[string]openapiResponse{strconv.Itoa(doc.status): doc.response()},
	}
	hasID := strings.Contains(r.path, "*")
	if hasID {
		operation.Parameters = append(operation.Parameters, openapiParameter{Name: "id", In: "path", Required: true, Schema: uuidSchema()})
	}
	for _, name := range e.query {
		parameter, ok := queryParameters()[name]
		if !ok {
			return openapiOperation{}, fmt.Errorf("query parameter %s: %w", name, errUndocumented)
		}
		parameter.Name, parameter.In = name, "query"
		operation.Parameters = append(operation.Parameters, parameter)
	}
	if doc.stream {
		operation.Parameters = append(operation.Parameters, openapiParameter{
			Name: "Last-Event-ID", In: "header", Description: "The id of the last event that came. An EventSource sends it by itself.",
			Schema: &jsonschema.Schema{Type: "string"},
		})
	}
	for _, status := range refusals(e, hasID, &doc) {
		operation.Responses[strconv.Itoa(status)] = openapiResponse{Ref: "#/components/responses/" + responseName(status)}
	}
	return operation, nil
}

// refusals are the statuses with which an endpoint may refuse, in the order of
// Handler.serve.
func refusals(e *endpoint, hasID bool, doc *callDoc) []int {
	statuses := []int{http.StatusBadRequest, http.StatusServiceUnavailable}
	if e.who > nobody {
		statuses = append(statuses, http.StatusUnauthorized)
	}
	if e.who == admin || e.method != http.MethodGet { // an emitter, or another origin
		statuses = append(statuses, http.StatusForbidden)
	}
	if e.body != noBody {
		statuses = append(statuses, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity)
	}
	if hasID {
		statuses = append(statuses, http.StatusNotFound)
	}
	return append(statuses, doc.refusals...)
}

// requestBody is what an endpoint takes, nil for nothing.
func requestBody(input string, kind bodyKind) *openapiRequestBody {
	if kind == noBody {
		return nil
	}
	media := openapiMedia{Schema: schemaRef(input)}
	content := map[string]openapiMedia{"application/json": media}
	if kind == patchBody {
		content["application/merge-patch+json"] = media
	}
	return &openapiRequestBody{Required: kind != optionalBody && kind != emptyBody, Content: content}
}

// moduleVersion is the version of this module in the program.
func moduleVersion() string {
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
