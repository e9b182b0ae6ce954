package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Signing is how requests to webhooks are signed, for the OpenAPI document.
type Signing struct {
	Header           string // with the signature; default: X-Level-Signature
	StandardWebhooks bool   // also as that specification has it
}

const receiveDescription = "Sent to each webhook that wants events of this type. Every attempt has the same body, byte for byte, " +
	"and an event may come more than once, and after a later one: its event_id tells that it is the same."

// webhookDocs describes what webhooks receive, by event type. Schemas that refer to parts of
// themselves are added to those of the document. All else is in its place, since some generators
// of clients leave out schemas to which only webhooks refer.
func webhookDocs(types *EventTypes, signing Signing, schemas map[string]any) (map[string]map[string]openapiOperation, error) {
	docs := make(map[string]map[string]openapiOperation, len(types.names)+1)
	used := make(map[string]bool, len(types.names))
	for _, name := range types.names {
		one := types.known[name]
		suffix := "_" + identifier(name, used)
		var data any = anyObject()
		if one.Schema != nil {
			embedded, refers, err := embedSchema(one.Schema, "Data"+suffix)
			if err != nil {
				return nil, fmt.Errorf("schema of %s: %w", name, err)
			}
			if data = embedded; refers {
				schemas["Data"+suffix], data = embedded, schemaRef("Data"+suffix)
			}
		}
		docs[name] = receiveDoc("receive"+suffix, one, newPayloadSchema(enumSchema(name), data), signing)
	}
	if types.any {
		docs["*"] = receiveDoc("receive", &eventType{Name: "an event of any other type"}, newPayloadSchema(schemaRef("EventTypeName"), anyObject()), signing)
	}
	return docs, nil
}

func anyObject() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "object", AdditionalProperties: new(jsonschema.Schema)}
}

// payloadSchema is the schema of an envelope.
type payloadSchema struct {
	Type       string   `json:"type"`
	Required   []string `json:"required"`
	Properties struct {
		EventType  *jsonschema.Schema `json:"event_type"`
		EventID    *jsonschema.Schema `json:"event_id"`
		OccurredAt *jsonschema.Schema `json:"occurred_at"`
		Data       any                `json:"data"` // a *jsonschema.Schema or a jsontext.Value
	} `json:"properties"`
}

func newPayloadSchema(name *jsonschema.Schema, data any) *payloadSchema {
	s := &payloadSchema{Type: "object", Required: []string{"event_type", "event_id", "occurred_at", "data"}}
	s.Properties.EventType, s.Properties.EventID, s.Properties.OccurredAt, s.Properties.Data = name, uuidSchema(), timeSchema(), data
	return s
}

// receiveDoc describes the request for a type.
func receiveDoc(id string, one *eventType, payload *payloadSchema, signing Signing) map[string]openapiOperation {
	media := openapiMedia{Schema: payload}
	if one.Example != nil {
		media.Example = fmt.Appendf(nil, `{"event_type":%s,"event_id":"0199c2a3-7e50-7d3c-9a1b-0f6d2c8e4b75","occurred_at":"2026-03-01T09:30:00Z","data":%s}`, jsonOf(one.Name), one.Example)
	}
	summary := "Receive " + one.Name
	if one.Description != "" {
		summary += ": " + one.Description
	}
	return map[string]openapiOperation{"post": {
		OperationID: id, Summary: summary, Description: receiveDescription,
		Parameters:  signing.parameters(),
		RequestBody: &openapiRequestBody{Required: true, Content: map[string]openapiMedia{"application/json": media}},
		Responses: map[string]openapiResponse{
			"2XX":     {Description: "The event has been received, and is not sent again. The whole response must come within the timeout."},
			"default": {Description: "The request has failed, and is sent again later unless it was the last attempt. Redirects are not followed, and fail, too."},
		},
	}}
}

// parameters are the headers of requests, beside those of all HTTP.
func (s Signing) parameters() []openapiParameter {
	header := func(name, description string, schema *jsonschema.Schema) openapiParameter {
		return openapiParameter{Name: name, In: "header", Description: description, Schema: schema}
	}
	if s.Header == "" {
		s.Header = delivery.DefaultSettings().SignatureHeader
	}
	signature := &jsonschema.Schema{Type: "string", Pattern: "^sha256=[0-9a-f]{64}$"}
	all := []openapiParameter{
		header(s.Header, "sha256= and the HMAC-SHA256 of the body in hex, by the whole text of the secret. Only if the webhook has one.", signature),
		header(s.Header+"-Previous", "The same by the secret before, for some time after a secret was rotated.", signature),
	}
	if !s.StandardWebhooks {
		return all
	}
	id := header("webhook-id", "The event's event_id.", uuidSchema())
	timestamp := header("webhook-timestamp", "When this attempt was made, in seconds since 1970.", &jsonschema.Schema{Type: "integer"})
	id.Required, timestamp.Required = true, true
	return append(all, id, timestamp, header("webhook-signature",
		"Signatures by Standard Webhooks, with spaces between them: for some time after a secret was rotated, the second is by the one before. Only if the webhook has a secret.", &jsonschema.Schema{Type: "string"}))
}

// identifier makes a name out of any text that all programs can use, and that is not used yet.
func identifier(text string, used map[string]bool) string {
	name := strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' {
			return r
		}
		return '_'
	}, text)
	free := name
	for n := 2; used[free]; n++ {
		free = name + "_" + strconv.Itoa(n)
	}
	used[free] = true
	return free
}

// embedSchema makes the schema of an event type one of the document's. If it refers to parts of
// itself, it must stand under the name in the document, where such references begin. Where that
// is not enough, since it has names for its parts, it gets a URI of its own: fewer programs
// understand that.
func embedSchema(source jsontext.Value, name string) (embedded jsontext.Value, refers bool, err error) {
	doc, err := validator.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return nil, false, err
	}
	root, ok := doc.(map[string]any)
	if !ok {
		return nil, false, errUndocumented
	}
	if hasNames(root) {
		if _, ok := root["$id"]; !ok {
			root["$id"] = name
		}
		embedded, err = json.Marshal(root)
		return embedded, true, err
	}
	for at := range subschemas(root) {
		delete(at, "$schema") // which only a schema with a URI of its own may have
		if ref, ok := at["$ref"].(string); ok {
			at["$ref"], refers = "#/components/schemas/"+name+strings.TrimPrefix(ref, "#"), true
		}
	}
	embedded, err = json.Marshal(root)
	return embedded, refers, err
}

// hasNames reports whether a schema has names or URIs for its parts.
func hasNames(schema any) bool {
	for at := range subschemas(schema) {
		for _, keyword := range []string{"$id", "$anchor", "$dynamicAnchor", "$dynamicRef"} {
			if _, ok := at[keyword].(string); ok {
				return true
			}
		}
	}
	return false
}
