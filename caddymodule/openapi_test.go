package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestOpenAPIIsValid holds the document against the schema of OpenAPI 3.1, and the
// schemas in it against that of JSON Schema 2020-12.
func TestOpenAPIIsValid(t *testing.T) {
	official, err := os.ReadFile("testdata/openapi-3.1-schema-2022-10-07.json")
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(official))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("https://spec.openapis.org/oas/3.1/schema/2022-10-07", decoded); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("https://spec.openapis.org/oas/3.1/schema/2022-10-07")
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{nil, {"*"}, {"with space", `"quoted"`, "ü"}} {
		raw, err := caddymodule.OpenAPI(names...)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%q: %v", names, err)
		}
		o, err := newOpenAPI(raw)
		if err != nil {
			t.Fatal(err)
		}
		components, _ := o.at(o.doc, "components", "schemas")
		for name := range components.(map[string]any) {
			if _, err := o.compiler.Compile("openapi.json#/components/schemas/" + name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, ref := range references(doc) {
			if found, _ := o.at(o.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); found == nil {
				t.Errorf("there is no %s", ref)
			}
		}
	}
}

// references are all $ref in a value.
func references(v any) []string {
	var refs []string
	switch v := v.(type) {
	case []any:
		for _, element := range v {
			refs = append(refs, references(element)...)
		}
	case map[string]any:
		for name, member := range v {
			if ref, ok := member.(string); ok && name == "$ref" {
				refs = append(refs, ref)
			}
			refs = append(refs, references(member)...)
		}
	}
	return refs
}

// TestOpenAPIRefuses has what the schemas must not take.
func TestOpenAPIRefuses(t *testing.T) {
	o, err := standardOpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		schema, value string
		ok            bool
	}{
		{"Emit", `{"event_type":"group_created","data":{}}`, true},
		{"Emit", `[{"event_type":"group_created","data":{}}]`, true},
		{"Emit", `[]`, false},
		{"Emit", `{"event_type":"other","data":{}}`, false},
		{"Emit", `{"event_type":"group_created"}`, false},
		{"Emit", `{"event_type":"group_created","data":null}`, false},
		{"Emit", `{"event_type":"group_created","data":{},"x":1}`, false},
		{"Emit", `{"event_type":"group_created","data":{},"event_id":"x"}`, false},
		{"Emit", `{"event_type":"group_created","data":{},"event_id":"00000000-0000-0000-0000-000000000000"}`, false},
		{"Emit", `{"event_type":"group_created","data":{},"occurred_at":"2026-03-13"}`, false},
		{"NewWebhook", `{"url":"https://example.com/","secret":null,"description":null}`, true},
		{"NewWebhook", `{}`, false},
		{"NewWebhook", `{"url":"https://example.com/","enabled":null}`, false},
		{"NewWebhook", `{"url":"https://example.com/","has_secret":true}`, false},
		{"WebhookPatch", `{}`, true},
		{"WebhookPatch", `{"url":null}`, false},
		{"WebhookPatch", `{"secret":""}`, false},
		{"WebhookPatch", `{"secret":"` + strings.Repeat("s", 1025) + `"}`, false},
		{"WebhookPatch", `{"event_types":["*"]}`, true},
		{"WebhookPatch", `{"event_types":["*","group_created"]}`, false},
		{"WebhookPatch", `{"event_types":["other"]}`, false},
		{"WebhookPatch", `{"event_types":[]}`, false},
		{"Test", `{"event_type":null}`, false},
		{"Health", `{"status":"bad"}`, false},
	} {
		if err := o.checkJSON("/components/schemas/"+tc.schema, []byte(tc.value)); (err == nil) != tc.ok {
			t.Errorf("%s, %s: got %v", tc.schema, tc.value, err)
		}
	}
}

func TestOpenAPIAnswer(t *testing.T) {
	s := startSite(t, siteConfig{
		webhooks: "store redis redis://" + redistest.Start(t).Addr + "\nevent_types first second",
		more: `
	handle /api/* {
		webhooks
	}
	handle_path /deep/er/* {
		webhooks
	}
	handle_path /tenant/* {
		webhooks {
			tenant {header.X-Tenant}
		}
	}
	handle /route/* {
		route {
			uri strip_prefix /route
			webhooks
		}
	}`,
	})
	for path, want := range map[string]string{
		"/hooks":   "/hooks",
		"":         "/",
		"/deep/er": "/deep/er",
		"/tenant":  "/tenant",
		"/route":   "/route",
	} {
		got := s.do(http.MethodGet, path+"/api/openapi.json", "")
		var doc struct {
			OpenAPI string `json:"openapi"`
			Servers []struct {
				URL string `json:"url"`
			} `json:"servers"`
			Info       any
			Paths      map[string]map[string]any
			Components struct {
				Schemas map[string]struct {
					Enum []string `json:"enum"`
				} `json:"schemas"`
			}
		}
		if err := json.Unmarshal(got.body, &doc); err != nil || got.status != http.StatusOK {
			t.Fatalf("%s: %d, %v", path, got.status, err)
		}
		if len(doc.Servers) != 1 || doc.Servers[0].URL != want || !strings.HasPrefix(doc.OpenAPI, "3.1.") {
			t.Errorf("%s: got OpenAPI %s, servers %v", path, doc.OpenAPI, doc.Servers)
		}
		if enum := doc.Components.Schemas["EventTypeName"].Enum; strings.Join(enum, " ") != "first second" {
			t.Errorf("%s: event types are %q", path, enum)
		}
		got.wantHeaders(t)
	}
	s.do(http.MethodPost, "/hooks/api/openapi.json", "").wantProblem(t, http.StatusMethodNotAllowed)
	s.do(http.MethodGet, "/hooks/api/openapi.json?x=1", "").wantProblem(t, http.StatusBadRequest)
}
