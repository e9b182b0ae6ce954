package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// operation is a method of a path.
type operation struct {
	method    string
	who       Role
	anyTenant bool     // it is about no tenant
	query     []string // the parameters that it knows
	body      bodyKind
	limit     limit // of the engine, which refuses what is too much at a time
	serve     func(context.Context, *call) (response, error)
}

// route is a path and what it takes.
type route struct {
	path       string // with * for a variable part
	operations []operation
	parts      []string
	varies     bool // it has a variable part
	allow      string
}

// ofAPI says whether the route is one for programs: the others are the page's.
func (r *route) ofAPI() bool { return strings.HasPrefix(r.path, "api/") }

// http.ServeMux would answer in plain text and redirect out of the mount.
var routes = makeRoutes(append(pageRoutes(), []route{
	{path: "api/events", operations: []operation{
		{method: http.MethodGet, who: Admin, query: eventParameters, serve: listEvents},
		{method: http.MethodPost, who: Emitter, body: eventsBody, limit: limitEmits, serve: emitEvents},
	}},
	{path: "api/events/*", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: getEvent},
		{method: http.MethodDelete, who: Admin, serve: eraseEvent},
	}},
	{path: "api/event-types", operations: []operation{
		{method: http.MethodGet, who: Emitter, serve: listEventTypes},
	}},
	{path: "api/webhooks", operations: []operation{
		{method: http.MethodGet, who: Admin, query: webhookParameters, serve: listWebhooks},
		{method: http.MethodPost, who: Admin, body: jsonBody, serve: createWebhook},
	}},
	{path: "api/webhooks/*", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: getWebhook},
		{method: http.MethodPatch, who: Admin, body: patchBody, serve: changeWebhook},
		{method: http.MethodDelete, who: Admin, serve: deleteWebhook},
	}},
	{path: "api/webhooks/*/test", operations: []operation{
		{method: http.MethodPost, who: Admin, body: optionalBody, limit: limitSends, serve: testWebhook},
	}},
	{path: "api/webhooks/*/rotate-secret", operations: []operation{
		{method: http.MethodPost, who: Admin, body: optionalBody, serve: rotateSecret},
	}},
	{path: "api/expressions", operations: []operation{
		{method: http.MethodPost, who: Admin, body: jsonBody, serve: tryExpression},
	}},
	{path: "api/requests", operations: []operation{
		{method: http.MethodGet, who: Admin, query: requestParameters, serve: listRequests},
	}},
	{path: "api/requests/stream", operations: []operation{ // before the next one, which it matches
		{method: http.MethodGet, who: Admin, query: streamParameters, limit: limitStreams, serve: followRequests},
	}},
	{path: "api/requests/*", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: getRequest},
	}},
	{path: "api/requests/*/rerun", operations: []operation{
		{method: http.MethodPost, who: Admin, body: emptyBody, limit: limitSends, serve: rerunRequest},
	}},
	{path: "api/events/*/deliveries/*", operations: []operation{
		{method: http.MethodDelete, who: Admin, serve: cancelDelivery},
	}},
	{path: "api/events/*/deliveries/*/send", operations: []operation{
		{method: http.MethodPost, who: Admin, body: emptyBody, serve: sendDelivery},
	}},
	{path: "api/deliveries", operations: []operation{
		{method: http.MethodGet, who: Admin, query: deliveryParameters, serve: listDeliveries},
	}},
	{path: "api/replays", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: listReplays},
		{method: http.MethodPost, who: Admin, body: jsonBody, serve: createReplay},
	}},
	{path: "api/replays/*", operations: []operation{
		{method: http.MethodGet, who: Admin, serve: getReplay},
		{method: http.MethodDelete, who: Admin, serve: cancelReplay},
	}},
	{path: "api/audit", operations: []operation{
		{method: http.MethodGet, who: Admin, query: auditParameters, serve: listAudit},
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
		r.varies = slices.Contains(r.parts, "*")
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
	path = strings.TrimPrefix(path, "/")
	for i := range routes {
		if ids, ok := routes[i].match(path); ok {
			return &routes[i], ids
		}
	}
	return nil, nil
}

func (r *route) match(path string) (ids []string, ok bool) {
	if !r.varies {
		return nil, path == r.path
	}
	for i, part := range r.parts {
		given, rest, more := strings.Cut(path, "/")
		switch {
		case more == (i == len(r.parts)-1): // too long, or too short
			return nil, false
		case part == "*" && given != "":
			ids = append(ids, given)
		case part != given:
			return nil, false
		}
		path = rest
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
