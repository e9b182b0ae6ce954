package api

import (
	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
)

// expressions defines what tries one.
func (b *schemas) expressions() {
	in := define[expressionInput](b, "Expression")
	in.Required = nil
	b.member(in, "filter").Description = "What gives a bool, in the Common Expression Language."
	b.member(in, "order_by").Description = "What gives a string."
	b.member(in, "transform").Description = "What gives a JSON value."
	b.set(in, "event_id", uuidSchema())
	b.member(in, "event_id").Description = "A stored event."
	b.set(in, "event", schemaRef("NewEvent"))
	out := defineOutput[expressionResult](b, "ExpressionResult")
	b.set(out, "result", &jsonschema.Schema{Description: "true or false of a filter, a string of order_by, any JSON value of transform."})
}

// expression defines a member of a webhook that is one.
func (b *schemas) expression(w *jsonschema.Schema, kind expression.Kind, description string) {
	m := b.member(w, kind.String())
	m.Description = "In the Common Expression Language. " + description
	m.MinLength, m.MaxLength = new(1), new(kind.MaxLength())
	nullable(m)
}
