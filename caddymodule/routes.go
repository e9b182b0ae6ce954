package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// call is a request that has passed the steps that all share.
type call struct {
	app    *App
	role   role
	tenant string
	ids    []string // the path's variable parts
	header http.Header
	query  url.Values
	body   []byte // nil for none
	// serving ends when the server begins to shut down.
	serving context.Context
	// events is how many events the call emits, 1 until they are read, and 0 if
	// it is another call.
	events int
}

// id parses the id in the path.
func (c *call) id() (uuid.UUID, bool) { return parseID(c.ids[0]) }

// parseID takes a UUID in its usual form of 36 characters.
func parseID(s string) (uuid.UUID, bool) {
	if len(s) != 36 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// ofAPI says whether the route is one for programs: the others are the page's.
func (r *route) ofAPI() bool { return strings.HasPrefix(r.path, "api/") }

// endpoint is a method of a path.
type endpoint struct {
	method    string
	who       role
	anyTenant bool     // the call is about no tenant
	query     []string // the parameters that it knows
	body      bodyKind
	serve     func(context.Context, *call) (answer, error)
}

// route is a path and what it takes.
type route struct {
	path      string // with * for a variable part
	endpoints []endpoint
	parts     []string
	allow     string
}

// http.ServeMux would answer in plain text and redirect out of the mount.
var routes = makeRoutes(append(dashboardRoutes(), []route{
	{path: "api/events", endpoints: []endpoint{
		{method: http.MethodPost, who: emitter, body: eventsBody, serve: emitEvents},
	}},
	{path: "api/events/*", endpoints: []endpoint{
		{method: http.MethodGet, who: admin, serve: getEvent},
	}},
	{path: "api/event-types", endpoints: []endpoint{
		{method: http.MethodGet, who: emitter, serve: listEventTypes},
	}},
	{path: "api/webhooks", endpoints: []endpoint{
		{method: http.MethodGet, who: admin, serve: listWebhooks},
		{method: http.MethodPost, who: admin, body: jsonBody, serve: createWebhook},
	}},
	{path: "api/webhooks/*", endpoints: []endpoint{
		{method: http.MethodGet, who: admin, serve: getWebhook},
		{method: http.MethodPatch, who: admin, body: patchBody, serve: changeWebhook},
		{method: http.MethodDelete, who: admin, serve: deleteWebhook},
	}},
	{path: "api/webhooks/*/test", endpoints: []endpoint{
		{method: http.MethodPost, who: admin, body: optionalBody, serve: testWebhook},
	}},
	{path: "api/requests", endpoints: []endpoint{
		{method: http.MethodGet, who: admin, query: requestParameters, serve: listRequests},
	}},
	{path: "api/requests/stream", endpoints: []endpoint{ // before the next one, which it matches
		{method: http.MethodGet, who: admin, query: streamParameters, serve: followRequests},
	}},
	{path: "api/requests/*", endpoints: []endpoint{
		{method: http.MethodGet, who: admin, serve: getRequest},
	}},
	{path: "api/requests/*/rerun", endpoints: []endpoint{
		{method: http.MethodPost, who: admin, body: emptyBody, serve: rerunRequest},
	}},
	{path: "api/stats", endpoints: []endpoint{
		{method: http.MethodGet, who: admin, query: []string{"period"}, serve: getStats},
	}},
	{path: "api/stats/webhooks", endpoints: []endpoint{
		{method: http.MethodGet, who: admin, query: []string{"webhook_ids"}, serve: getWebhookStats},
	}},
	{path: "api/health", endpoints: []endpoint{
		{method: http.MethodGet, who: nobody, anyTenant: true, serve: getHealth},
	}},
	{path: "api/openapi.json", endpoints: []endpoint{
		{method: http.MethodGet, who: nobody, anyTenant: true, serve: getOpenAPI},
	}},
}...))

func makeRoutes(routes []route) []route {
	for i := range routes {
		r := &routes[i]
		r.parts = strings.Split(r.path, "/")
		var methods []string
		for _, e := range r.endpoints {
			methods = append(methods, e.method)
			if e.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
		r.allow = strings.Join(methods, ", ")
	}
	return routes
}

// findRoute finds the route of a path, and its variable parts.
func findRoute(path string) (*route, []string) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i := range routes {
		if ids, ok := routes[i].match(parts); ok {
			return &routes[i], ids
		}
	}
	return nil, nil
}

func (r *route) match(parts []string) (ids []string, ok bool) {
	if len(parts) != len(r.parts) {
		return nil, false
	}
	for i, part := range r.parts {
		switch {
		case part == "*" && parts[i] != "":
			ids = append(ids, parts[i])
		case part != parts[i]:
			return nil, false
		}
	}
	return ids, true
}

// endpoint finds the method; HEAD is a GET whose body the server leaves out.
func (r *route) endpoint(method string) (endpoint, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, e := range r.endpoints {
		if e.method == method {
			return e, true
		}
	}
	return endpoint{}, false
}
