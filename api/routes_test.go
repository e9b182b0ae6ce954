package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestFindRoute(t *testing.T) {
	for _, tc := range []struct{ path, want, ids string }{
		{"/api/events", "api/events", ""},
		{"api/events", "api/events", ""},
		{"/api/events/1", "api/events/*", "1"},
		{"/api/event-types", "api/event-types", ""},
		{"/api/webhooks", "api/webhooks", ""},
		{"/api/webhooks/1", "api/webhooks/*", "1"},
		{"/api/webhooks/1/test", "api/webhooks/*/test", "1"},
		{"/api/requests", "api/requests", ""},
		{"/api/requests/1", "api/requests/*", "1"},
		{"/api/requests/stream", "api/requests/stream", ""},
		{"/api/requests/1/rerun", "api/requests/*/rerun", "1"},
		{"/api/stats", "api/stats", ""},
		{"/api/stats/webhooks", "api/stats/webhooks", ""},
		{"/api/stats/1", "", ""},
		{"/api/health", "api/health", ""},
		{"/api/openapi.json", "api/openapi.json", ""},
		{"/api", "", ""},
		{"/api/", "", ""},
		{"/api/events/", "", ""},
		{"/api/webhooks/", "", ""},
		{"/api/webhooks//test", "", ""},
		{"/api/webhooks/1/", "", ""},
		{"/api/webhooks/1/test/2", "", ""},
		{"/api//events", "", ""},
		{"//api/events", "", ""},
		{"/API/events", "", ""},
		{"/x/api/events", "", ""},
	} {
		route, ids := findRoute(tc.path)
		got := ""
		if route != nil {
			got = route.path
		}
		if got != tc.want || strings.Join(ids, ",") != tc.ids {
			t.Errorf("%q: got %q with %q", tc.path, got, ids)
		}
	}
}

func TestMethods(t *testing.T) {
	for path, want := range map[string]string{
		"/api/events":           "GET, HEAD, POST",
		"/api/events/1":         "GET, HEAD, DELETE",
		"/api/event-types":      "GET, HEAD",
		"/api/webhooks":         "GET, HEAD, POST",
		"/api/webhooks/1":       "GET, HEAD, PATCH, DELETE",
		"/api/webhooks/1/test":  "POST",
		"/api/requests":         "GET, HEAD",
		"/api/requests/1":       "GET, HEAD",
		"/api/requests/stream":  "GET, HEAD",
		"/api/requests/1/rerun": "POST",
		"/api/stats":            "GET, HEAD",
		"/api/stats/webhooks":   "GET, HEAD",
		"/api/health":           "GET, HEAD",
		"/api/openapi.json":     "GET, HEAD",
	} {
		route, _ := findRoute(path)
		if route.allow != want {
			t.Errorf("%s: allows %q", path, route.allow)
		}
		for _, method := range []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
			http.MethodDelete, http.MethodOptions, http.MethodTrace, "get", "",
		} {
			_, ok := route.operation(method)
			allowed := method != "" && strings.Contains(", "+want+",", ", "+method+",")
			if ok != allowed {
				t.Errorf("%s %s: found is %t", method, path, ok)
			}
		}
	}
}
