package api_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
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
	for name, raw := range describedTypes(t) {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		o, err := openapitest.New(raw)
		if err != nil {
			t.Fatal(err)
		}
		components, _ := o.At(o.Root, "components", "schemas")
		for name := range components.(map[string]any) {
			if _, err := o.Compile("/components/schemas/" + name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, ref := range references(doc) {
			if name == "declared" && !strings.HasPrefix(ref, "#/components/") {
				continue // within a schema with a URI of its own; TestOpenAPIWebhooks uses it
			}
			if found, _ := o.At(o.Root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); found == nil {
				t.Errorf("there is no %s", ref)
			}
		}
	}
}

// describedTypes are documents for several sets of event types.
func describedTypes(t *testing.T) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	for name, of := range map[string]struct {
		names    []string
		declared []api.DeclaredType
		signing  api.Signing
	}{
		"standard": {},
		"any":      {names: []string{"*"}, signing: api.Signing{Header: "X-Sig", StandardWebhooks: true}},
		"odd":      {names: []string{"with space", `"quoted"`, "ü", "ö"}},
		"declared": {declared: documentedTypes},
	} {
		types, err := api.NewEventTypes(of.names, of.declared...)
		if err != nil {
			t.Fatal(err)
		}
		if all[name], err = openapitest.RawOf(api.Backend{EventTypes: types, Signing: of.signing}); err != nil {
			t.Fatal(err)
		}
	}
	return all
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
	o, err := openapitest.Standard()
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
		{"NewWebhook", `{"url":"https://example.com/","retry":{"attempts":3,"delays":["5s"],"jitter":["1s","60s"]}}`, true},
		{"NewWebhook", `{"url":"https://example.com/","retry":{"delays":[]}}`, false},
		{"WebhookPatch", `{"retry":{"delays":[5]}}`, false},
		{"WebhookPatch", `{"retry":{"attempts":101}}`, false},
		{"WebhookPatch", `{"retry":{"delay":"5s"}}`, false},
		{"WebhookPatch", `{"retry":null}`, true},
		{"NewWebhook", `{"url":"https://example.com/","rate_limit":{"requests":5,"per":"1s"}}`, true},
		{"WebhookPatch", `{"rate_limit":null}`, true},
		{"WebhookPatch", `{"rate_limit":{"requests":5}}`, false},
		{"WebhookPatch", `{"rate_limit":{"requests":0,"per":"1s"}}`, false},
		{"WebhookPatch", `{"rate_limit":{"requests":1,"per":1}}`, false},
		{"WebhookPatch", `{"rate_limit":{"requests":1,"per":"1s","burst":1}}`, false},
		{"WebhookPatch", `{}`, true},
		{"WebhookPatch", `{"url":null}`, false},
		{"WebhookPatch", `{"secret":""}`, false},
		{"WebhookPatch", `{"secret":"` + strings.Repeat("s", 1025) + `"}`, false},
		{"WebhookPatch", `{"event_types":["*"]}`, true},
		{"WebhookPatch", `{"event_types":["*","group_created"]}`, false},
		{"WebhookPatch", `{"event_types":["other"]}`, false},
		{"WebhookPatch", `{"event_types":[]}`, false},
		{"WebhookPatch", `{"headers":{"X-A":"a","X-B":null},"metadata":null}`, true},
		{"WebhookPatch", `{"headers":{"X-A":1}}`, false},
		{"Webhook", `{"headers":{"X-A":null}}`, false},
		{"Test", `{"event_type":null}`, false},
		{"Health", `{"status":"bad"}`, false},
	} {
		if err := o.CheckJSON("/components/schemas/"+tc.schema, []byte(tc.value)); (err == nil) != tc.ok {
			t.Errorf("%s, %s: got %v", tc.schema, tc.value, err)
		}
	}
}

// TestOpenAPIForTypedClients holds the schemas to what generators of typed clients can
// make something of. TestGeneratedClients tries those for Go; openapi-typescript has no
// place here, and is the reason for the first two rules.
func TestOpenAPIForTypedClients(t *testing.T) {
	for _, names := range [][]string{nil, {"*"}} {
		raw, err := openapitest.Raw(names...)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		checkForTypedClients(t, "", decoded.(map[string]any)["components"].(map[string]any)["schemas"])
	}
}

// checkForTypedClients checks a schema and those in it.
func checkForTypedClients(t *testing.T, place string, v any) {
	t.Helper()
	schema, ok := v.(map[string]any)
	if !ok {
		if list, ok := v.([]any); ok {
			for i, element := range list {
				checkForTypedClients(t, fmt.Sprint(place, "/", i), element)
			}
		}
		return
	}
	if _, ok := schema["properties"]; schema["type"] == "object" && !ok && schema["additionalProperties"] == nil {
		t.Errorf("%s: an object that says nothing of its members is taken for one without any", place)
	}
	if _, ok := schema["default"]; ok {
		t.Errorf("%s: a member with a default is taken for one that must be there", place)
	}
	kinds := make(map[any]bool)
	alternatives, _ := schema["oneOf"].([]any)
	for _, alternative := range alternatives {
		kind := alternative.(map[string]any)["type"]
		if kinds[kind] {
			t.Errorf("%s: no client can tell two alternatives of the same type apart", place)
		}
		kinds[kind] = true
	}
	for name, member := range schema {
		checkForTypedClients(t, place+"/"+name, member)
	}
}
