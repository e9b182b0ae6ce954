package api

import (
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
)

// What of OpenAPI 3.1 the document uses (https://spec.openapis.org/oas/v3.1.1.html).
// Members that are required there are always written, also when they are empty.

type openapiDocument struct {
	OpenAPI    string                                 `json:"openapi"`
	Info       openapiInfo                            `json:"info"`
	Paths      map[string]map[string]openapiOperation `json:"paths"`    // by path, then method
	Webhooks   map[string]map[string]openapiOperation `json:"webhooks"` // by event type, then method
	Components openapiComponents                      `json:"components"`
}

// openapiPlace is the part of the document that is made when it is asked for.
type openapiPlace struct {
	Servers []openapiServer `json:"servers"`
}

type openapiInfo struct {
	Title       string `json:"title"`
	Version     string `json:"version"`
	Description string `json:"description,omitzero"`
}

type openapiServer struct {
	URL string `json:"url"`
}

type openapiOperation struct {
	OperationID string                     `json:"operationId"`
	Summary     string                     `json:"summary"`
	Description string                     `json:"description,omitzero"`
	Security    []openapiSecurity          `json:"security"` // any of these; none: anyone
	Parameters  []openapiParameter         `json:"parameters,omitzero"`
	RequestBody *openapiRequestBody        `json:"requestBody,omitzero"`
	Responses   map[string]openapiResponse `json:"responses"` // by status
}

// openapiSecurity is a scheme and the roles of which its user needs one.
type openapiSecurity map[string][]string

type openapiParameter struct {
	Name        string             `json:"name"`
	In          string             `json:"in"`
	Description string             `json:"description,omitzero"`
	Required    bool               `json:"required,omitzero"`
	Explode     *bool              `json:"explode,omitzero"` // false: values have a comma between them
	Schema      *jsonschema.Schema `json:"schema"`
}

type openapiRequestBody struct {
	Required bool                    `json:"required"`
	Content  map[string]openapiMedia `json:"content"` // by media type
}

type openapiMedia struct {
	Schema  any            `json:"schema"` // a *jsonschema.Schema or a *payloadSchema
	Example jsontext.Value `json:"example,omitzero"`
}

type openapiResponse struct {
	Ref         string                   `json:"$ref,omitzero"` // then nothing else
	Description string                   `json:"description,omitzero"`
	Headers     map[string]openapiHeader `json:"headers,omitzero"`
	Content     map[string]openapiMedia  `json:"content,omitzero"` // by media type
}

type openapiHeader struct {
	Description string             `json:"description,omitzero"`
	Required    bool               `json:"required,omitzero"`
	Schema      *jsonschema.Schema `json:"schema"`
}

type openapiComponents struct {
	Schemas         map[string]any                   `json:"schemas"` // each a *jsonschema.Schema or a jsontext.Value
	Responses       map[string]openapiResponse       `json:"responses"`
	SecuritySchemes map[string]openapiSecurityScheme `json:"securitySchemes"`
}

type openapiSecurityScheme struct {
	Type        string `json:"type"`
	Scheme      string `json:"scheme"`
	Description string `json:"description,omitzero"`
}
