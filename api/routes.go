package api

import (
	"context"
	"net/http"
	"strings"
)

// operation is a method of a path.
type operation struct {
	method    string
	who       Role
	anyTenant bool     // it is about no tenant
	query     []string // the parameters that it knows
	body      bodyKind
	serve     func(context.Context, *call) (response, error)
}

// route is a path and what it takes.
type route struct {
	path       string // with * for a variable part
	operations []operation
	parts      []string
	allow      string
}

// ofAPI says whether the route is one for programs: the others are the page's.
func (r *route) ofAPI() bool { return strings.HasPrefix(r.path, "api/") }

// http.ServeMux would answer in plain text and redirect out of the mount.
var routes = makeRoutes(append(pageRoutes(), []route{
	{path: "api/events", operations: []operation{
		{method: http.MethodPost, who: Emitter, body: eventsBody, serve: emitEvents},
	}},
	{path: "api/events/*", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: getEvent},
	}},
	{path: "api/event-types", operations: []operation{
		{method: http.MethodGet, who: Emitter, serve: listEventTypes},
	}},
	{path: "api/webhooks", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: listWebhooks},
		{method: http.MethodPost, who: Admin, body: jsonBody, serve: createWebhook},
	}},
	{path: "api/webhooks/*", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: getWebhook},
		{method: http.MethodPatch, who: Admin, body: patchBody, serve: changeWebhook},
		{method: http.MethodDelete, who: Admin, serve: deleteWebhook},
	}},
	{path: "api/webhooks/*/test", operations: []operation{
		{method: http.MethodPost, who: Admin, body: optionalBody, serve: testWebhook},
	}},
	{path: "api/requests", operations: []operation{
		{method: http.MethodGet, who: Admin, query: requestParameters, serve: listRequests},
	}},
	{path: "api/requests/stream", operations: []operation{ // before the next one, which it matches
		{method: http.MethodGet, who: Admin, query: streamParameters, serve: followRequests},
	}},
	{path: "api/requests/*", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: getRequest},
	}},
	{path: "api/requests/*/rerun", operations: []operation{
		{method: http.MethodPost, who: Admin, body: emptyBody, serve: rerunRequest},
	}},
	{path: "api/stats", operations: []operation{
		{method: http.MethodGet, who: Admin, query: []string{"period"}, serve: getStats},
	}},
	{path: "api/stats/webhooks", operations: []operation{
		{method: http.MethodGet, who: Admin, query: []string{"webhook_ids"}, serve: getWebhookStats},
	}},
	{path: "api/health", operations: []operation{
		{method: http.MethodGet, who: Nobody, anyTenant: true, serve: getHealth},
	}},
	{path: "api/openapi.json", operations: []operation{
		{method: http.MethodGet, who: Nobody, anyTenant: true, serve: getOpenAPI},
	}},
}...))

func makeRoutes(routes []route) []route {
	for i := range routes {
		r := &routes[i]
		r.parts = strings.Split(r.path, "/")
		var methods []string
		for _, op := range r.operations {
			methods = append(methods, op.method)
			if op.method == http.MethodGet {
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

// operation finds the method; HEAD is a GET whose body the server leaves out.
func (r *route) operation(method string) (operation, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, op := range r.operations {
		if op.method == method {
			return op, true
		}
	}
	return operation{}, false
}
