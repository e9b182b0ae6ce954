package api_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// documentedTypes have schemas that refer to themselves in each way there is.
var documentedTypes = []api.DeclaredType{
	{Name: "order.created", Description: "A new order.", Example: file(`{"items":[{"price":10000000000000000001}]}`), Schema: file(`{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"type": "object", "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/item"}}},
		"$defs": {"item": {"type": "object", "properties": {"price": {"type": "number"}, "parts": {"type": "array", "items": {"$ref": "#/$defs/item"}}}}}
	}`)},
	{Name: "order created", Schema: file(`{"properties": {"next": {"$ref": "#"}, "a": {"type": "string"}}}`)},
	{Name: "anchored", Schema: file(`{"properties": {"a": {"$ref": "#text"}}, "$defs": {"t": {"$anchor": "text", "type": "string"}}}`)},
	{Name: "of its own", Schema: file(`{"$id": "https://example.com/own", "properties": {"a": {"$ref": "#/$defs/t"}}, "$defs": {"t": {"type": "string"}}}`)},
	{Name: "plain"},
}

// TestOpenAPIWebhooks holds what is sent against the document, which says it by event type.
func TestOpenAPIWebhooks(t *testing.T) {
	t.Parallel()
	raw := describedTypes(t)["declared"]
	o, err := openapitest.New(raw)
	if err != nil {
		t.Fatal(err)
	}
	webhooks, _ := o.Root["webhooks"].(map[string]any)
	var names []string
	for _, declared := range documentedTypes {
		names = append(names, declared.Name)
	}
	if got := slices.Sorted(maps.Keys(webhooks)); !slices.Equal(got, slices.Sorted(slices.Values(names))) {
		t.Errorf("there are webhooks for %q", got)
	}
	for _, tc := range []struct {
		name, data string
		ok         bool
	}{
		{"order.created", `{"items":[{"price":1,"parts":[{"price":2}]}]}`, true},
		{"order.created", `{"items":[{"price":1,"parts":[{"price":"2"}]}]}`, false},
		{"order created", `{"next":{"next":{"a":"x"}}}`, true},
		{"order created", `{"next":{"next":{"a":1}}}`, false},
		{"anchored", `{"a":"x"}`, true},
		{"anchored", `{"a":1}`, false},
		{"of its own", `{"a":"x"}`, true},
		{"of its own", `{"a":1}`, false},
		{"plain", `{"anything":1}`, true},
		{"plain", `[]`, false},
	} {
		name, _ := json.Marshal(tc.name)
		body := `{"event_type":` + string(name) + `,"event_id":"` + noID + `","occurred_at":"2026-03-01T09:30:00Z","data":` + tc.data + `}`
		_, place := o.At(o.Root, "webhooks", tc.name, "post", "requestBody", "content", "application/json", "schema")
		if err := o.CheckJSON(place, []byte(body)); (err == nil) != tc.ok {
			t.Errorf("%s: got %v", body, err)
		}
		if err := o.CheckJSON(place, []byte(strings.Replace(body, string(name), `"another"`, 1))); err == nil {
			t.Errorf("another type is taken as %s", tc.name)
		}
	}
	if example := `"data":{"items":[{"price":10000000000000000001}]}}`; !strings.Contains(string(raw), example) {
		t.Errorf("there is no example in %s", raw)
	}
}

// TestOpenAPIDeliveries holds what endpoints really get against the document.
func TestOpenAPIDeliveries(t *testing.T) {
	t.Parallel()
	o, err := openapitest.Standard()
	if err != nil {
		t.Fatal(err)
	}
	s, endpoint := start(t, newConfig().withLoopback()), newReceiver(t)
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
	webhooks, _ := o.Root["webhooks"].(map[string]any)
	for name := range webhooks {
		s.admin("POST", "api/webhooks/"+hook.ID+"/test", `{"event_type":"`+name+`"}`).want(t, 200, nil)
		_, place := o.At(o.Root, "webhooks", name, "post", "requestBody", "content", "application/json", "schema")
		if body := endpoint.next(t); o.CheckJSON(place, []byte(body)) != nil {
			t.Errorf("%s: %v", body, o.CheckJSON(place, []byte(body)))
		}
	}
	if len(webhooks) != 8 {
		t.Errorf("there are %d webhooks", len(webhooks))
	}
}

// TestOpenAPISignatures has the headers in the document as they are configured.
func TestOpenAPISignatures(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"standard": "X-Level-Signature X-Level-Signature-Previous",
		"any":      "X-Sig X-Sig-Previous webhook-id! webhook-timestamp! webhook-signature",
	} {
		o, err := openapitest.New(describedTypes(t)[name])
		if err != nil {
			t.Fatal(err)
		}
		webhooks, _ := o.Root["webhooks"].(map[string]any)
		for of := range webhooks {
			list, _ := o.At(o.Root, "webhooks", of, "post", "parameters")
			var got []string
			for _, each := range list.([]any) {
				parameter := each.(map[string]any)
				text, _ := parameter["name"].(string)
				if parameter["required"] == true {
					text += "!"
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: headers are %q", of, got)
			}
		}
	}
}
