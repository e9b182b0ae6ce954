package api

import (
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// textsSchema is that of texts by name, as they are given.
func textsSchema() *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	nullable(text)
	s := &jsonschema.Schema{Type: "object", AdditionalProperties: text}
	nullable(s)
	return s
}

// sentTexts gives headers and metadata in answers a schema of their own: ogen would give them a
// name that it also makes for the headers of an answer.
func (b *schemas) sentTexts(w *jsonschema.Schema) {
	b.defined["Texts"] = &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{Type: "string"}}
	b.set(w, "headers", schemaRef("Texts"))
	b.set(w, "metadata", schemaRef("Texts"))
}

// texts describes headers and metadata, as they are given.
func (b *schemas) texts(w *jsonschema.Schema) {
	headers, metadata := b.member(w, "headers"), b.member(w, "metadata")
	limits := fmt.Sprintf("Up to %d, of %d bytes in all. Null for one name removes it, and null for all of them all.", delivery.MaxTexts, delivery.MaxTextsSize)
	headers.Description = "Headers that are sent along, for what is no secret: not Host, Content-*, User-Agent, Authorization, those of the connection, or those of signatures. " + limits
	metadata.Description = "Texts of your own, which are not sent. " + limits
}
