package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// emitBlock makes a Caddyfile that has lines in a webhooks_emit directive, from line 3 on.
func emitBlock(lines string) string {
	return "http://:8080 {\n\twebhooks_emit device_created {\n\t\t" + lines + "\n\t}\n}\n"
}

// emitLine makes a Caddyfile with a webhooks_emit directive, on line 2.
func emitLine(arguments string) string {
	return "http://:8080 {\n\twebhooks_emit " + arguments + "\n}\n"
}

// TestEmitConfiguration gives options that make no sense.
func TestEmitConfiguration(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_EMPTY", "")
	t.Setenv("WEBHOOKS_TEST_NO_TENANT", "acme inc")
	for _, c := range []struct{ caddyfile, want string }{
		{emitLine(""), "webhooks_emit needs an event type, or from_header, at Caddyfile:2"},
		{emitLine("a b"), "wrong argument count or unexpected line ending after 'b', at Caddyfile:2"},
		{emitLine("from_header A B"), "wrong argument count or unexpected line ending after 'B', at Caddyfile:2"},
		{emitLine(`from_header "A B"`), "from_header must be the name of an HTTP header: letters, digits and hyphens, such as Webhook-Event, at Caddyfile:2"},
		{emitLine("from_header content-type"), "from_header must not be content-type, which means something else in a response: choose a name of your own, such as X-Example-Event, at Caddyfile:2"},
		{emitLine("from_header Set-Cookie"), "from_header must not be Set-Cookie"},
		{emitBlock("on"), "wrong argument count or unexpected line ending after 'on', at Caddyfile:3"},
		{emitBlock("on 1xx"), "on: '1xx' is not a status from 200 to 599, nor one of 2xx, 3xx, 4xx and 5xx, at Caddyfile:3"},
		{emitBlock("on 600"), "on: '600' is not a status"},
		{emitBlock("on all"), "on: 'all' is not a status"},
		{emitBlock("max_size 17MiB"), "max_size must be 1 to 16777216 bytes, not 17825792, at Caddyfile:3"},
		{emitBlock("max_size 0"), "max_size must be more than 0, at Caddyfile:3"},
		{emitBlock("tenant a/b"), "tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-', at Caddyfile:3"},
		{emitBlock("strict yes"), "wrong argument count or unexpected line ending after 'yes', at Caddyfile:3"},
		{emitBlock("data request response"), "wrong argument count or unexpected line ending after 'data', at Caddyfile:3"},
		{global("emit_queue 1KiB"), "emit_queue must be 1MiB to 16GiB, not 1024 bytes, at Caddyfile:3"},

		{emitLine("nonsense"), "the event type 'nonsense' is not configured: add it to event_types in the global webhooks block"},
		{emitLine("{env.WEBHOOKS_TEST_EMPTY}"), "the event type is empty: {env.WEBHOOKS_TEST_EMPTY} has no value (is the environment variable set?)"},
		{emitBlock("tenant {env.WEBHOOKS_TEST_EMPTY}"), "tenant is empty"},
		{emitBlock("tenant {env.WEBHOOKS_TEST_NO_TENANT}"), "tenant must have 1 to 128 characters, each"},
		{emitBlock("tenant acme/{header.X-Tenant}"), "tenant must have 1 to 128 characters, each"},
		{emitBlock("tenant {header.X-Tenant}" + strings.Repeat("a", 129)), "tenant must have 1 to 128 characters, each"},
		{emitBlock("id {file./does/not/exist}"), "id is empty"},
		{emitBlock("data `{\"a\": {http.request.body.a}, }`"), "data begins as a JSON object and is none"},
		{emitBlock("data `{\"a\": 1, \"a\": 2}`"), "data begins as a JSON object and is none"},
	} {
		adapted, err := adapt(c.caddyfile)
		if err == nil {
			var config caddy.Config
			if err := json.Unmarshal(adapted, &config); err != nil {
				t.Fatal(err)
			}
			err = caddy.Validate(&config)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.caddyfile, err, c.want)
		}
	}
}

// TestEmitJSON refuses what the Caddyfile cannot say.
func TestEmitJSON(t *testing.T) {
	for want, e := range map[string]Emit{
		"an event type is missing":                   {},
		"there is an event type beside from_header":  {EventType: "device_created", FromHeader: "X-Event"},
		"max_size must be 1 to 16777216 bytes":       {EventType: "device_created", MaxSize: -1},
		"on: 'xx' is not a status":                   {EventType: "device_created", On: []string{"xx"}},
		"tenant must have 1 to 128 characters, each": {EventType: "device_created", Tenant: "a b"},
	} {
		if err := e.resolve(caddy.NewReplacer()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestStatuses looks at which statuses texts name.
func TestStatuses(t *testing.T) {
	s, err := newStatuses([]string{"201", "4xx"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]bool{200: false, 201: true, 202: false, 399: false, 400: true, 499: true, 500: false, 599: false, 1000: false} {
		if s.has(status) != want {
			t.Errorf("%d: %t", status, !want)
		}
	}
}

// TestEmitText fills texts.
func TestEmitText(t *testing.T) {
	t.Setenv("WEBHOOKS_TEST_PASSWORD", `quo"te`)
	v := emitValues{
		request: httptest.NewRequest(http.MethodGet, "/", nil), status: 201, header: http.Header{"Location": {"/a\n"}},
		body: []byte(`{"a":{"b":[true,null,"x\u00e9\"",{"c":1.50}]},"n":-1e3,"":"e","o":{}}`),
	}
	for text, want := range map[string]string{
		"plain":                                 `plain`,
		"{}":                                    `{}`,
		`{ "a": {} }`:                           `{ "a": {} }`,
		"{http.request.body.a.b.0}":             `true`,
		"{http.request.body.a.b.1}":             ``,
		"{http.request.body.a.b.2}":             `xé\"`,
		"{http.request.body.a.b.3}":             `{\"c\":1.50}`,
		"{http.request.body.a.b.3.c}":           `1.50`,
		"{http.request.body.a.b.4}":             ``,
		"{http.request.body.a.b.-1}":            ``,
		"{http.request.body.a.b.x}":             ``,
		"{http.request.body.n}":                 `-1e3`,
		"{http.request.body.n.x}":               ``,
		"{http.request.body.o}":                 `{}`,
		"{http.request.body.missing.x}":         ``,
		"{http.response.status}":                `201`,
		"{http.response.header.location}":       `/a\n`,
		"{env.WEBHOOKS_TEST_PASSWORD}!":         `quo\"te!`,
		"{unknown}x":                            `x`,
		`{"s":"{http.response.status}","n":{}}`: `{"s":"201","n":{}}`,
	} {
		parsed, err := newEmitText(caddy.NewReplacer(), text)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.fill(&v, true); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	v.body = []byte("no JSON")
	parsed, _ := newEmitText(caddy.NewReplacer(), "{http.request.body.a}")
	if got := parsed.fill(&v, true); got != "" {
		t.Errorf("of what is no JSON: %s", got)
	}
}
