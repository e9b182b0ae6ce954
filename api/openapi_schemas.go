package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// schemas are made of Go types; only limits, enums and the like are added by hand.
type schemas struct {
	known   map[reflect.Type]*jsonschema.Schema // of types that are not what their kind says
	defined map[string]*jsonschema.Schema       // by name
	errs    []error
}

// newSchemas makes the schemas of all requests and responses.
func newSchemas(types *EventTypes) (map[string]*jsonschema.Schema, error) {
	object := &jsonschema.Schema{Type: "object", AdditionalProperties: new(jsonschema.Schema)}
	b := &schemas{
		known: map[reflect.Type]*jsonschema.Schema{
			reflect.TypeFor[uuid.UUID]():                    uuidSchema(),
			reflect.TypeFor[time.Time]():                    timeSchema(),
			reflect.TypeFor[jsontext.Value]():               object, // an event's data
			reflect.TypeFor[optional[jsontext.Value]]():     object,
			reflect.TypeFor[optional[string]]():             {Type: "string"},
			reflect.TypeFor[optional[bool]]():               {Type: "boolean"},
			reflect.TypeFor[optional[[]string]]():           {Type: "array", Items: &jsonschema.Schema{Type: "string"}},
			reflect.TypeFor[textsPatch]():                   textsSchema(),
			reflect.TypeFor[optional[retryInput]]():         retrySchema(),
			reflect.TypeFor[optional[int]]():                concurrencySchema(),
			reflect.TypeFor[optional[rateLimitInput]]():     rateLimitSchema(),
			reflect.TypeFor[optional[authorizationInput]](): authorizationSchema(),
			reflect.TypeFor[optional[certificateInput]]():   certificateSchema(),
		},
		defined: map[string]*jsonschema.Schema{
			"EventTypeName": types.schema(), "WantedEventType": types.wantedSchema(), "OpenAPI": object,
			"RequestStream": {Type: "string", Description: "Server-sent events."},
		},
	}
	b.inputs(types)
	b.outputs()
	return b.defined, errors.Join(b.errs...)
}

// inputs defines the bodies of requests. Unknown members are refused.
func (b *schemas) inputs(types *EventTypes) {
	ev := define[eventInput](b, "NewEvent")
	ev.Required = []string{"event_type", "data"}
	b.set(ev, "event_type", schemaRef("EventTypeName"))
	b.set(ev, "event_id", uuidSchema())
	b.set(ev, "occurred_at", timeSchema())
	b.member(ev, "event_id").Description = "An event with an id that was emitted before, within the retention, is a duplicate. Default: a new id."
	b.member(ev, "occurred_at").Description = "Default: now."
	b.member(ev, "event_id").Not = &jsonschema.Schema{Const: new(any(uuid.Nil))}
	b.defined["Emit"] = oneOrMany("NewEvent")

	for name, required := range map[string][]string{"NewWebhook": {"url"}, "WebhookPatch": nil} {
		w := define[webhookInput](b, name)
		w.Required = required
		url, secret, description := b.member(w, "url"), b.member(w, "secret"), b.member(w, "description")
		// No format: what is taken, and answered, need not be ASCII as a "uri" must.
		url.MinLength, url.MaxLength = new(1), new(sender.MaxURLLength)
		url.Description = "An absolute URL: https, unless the configuration allows http; without userinfo or fragment; to an address that is allowed."
		secret.MinLength, secret.MaxLength, secret.WriteOnly = new(1), new(maxSecretLength), true
		secret.Description = fmt.Sprintf("Signs the requests; null for none. 1 to %d bytes. No response contains it.", maxSecretLength)
		description.MaxLength = new(maxDescriptionLength)
		nullable(secret)
		nullable(description)
		b.set(w, "event_types", wantedTypesSchema())
		b.texts(w)
		b.authorization(w)
		timeout := b.member(w, "timeout")
		nullable(timeout)
		timeout.Description = "Of one request: a duration from 1s to 60s, such as \"30s\". Null for the configuration's."
		b.expression(w, expression.Filter, "Events for which this is not true are not delivered; null for all.")
		b.expression(w, expression.OrderBy, "Deliveries for which this gives the same string go one at a time, in the order of acceptance; null for side by side.")
		b.expression(w, expression.Transform, "What this gives is the body of requests; null for the event's envelope.")
		if required != nil {
			b.member(w, "enabled").Description = "Default: true."
			b.member(w, "event_types").Description += " Default: [\"*\"]."
		}
	}

	test := define[testInput](b, "Test")
	test.Required = nil
	b.set(test, "event_type", types.testedSchema())
	b.member(test, "event_type").Description = "One that the webhook wants. Default: the first of them."
	b.set(test, "event_id", uuidSchema())
	b.member(test, "event_id").Description = "In place of event_type: a stored event, whose type, time and data the test event has. Its id is new."
	define[rerunInput](b, "Rerun")
	b.rotation()
	b.expressions()
	b.replays()
}

const nextOfDelivery = "Null if there is none, and while the delivery waits for others that go before it (order_by)."

// outputs defines the bodies of responses. Members may be added to them one day.
func (b *schemas) outputs() {
	b.atLeast(defineOutput[receipt](b, "Receipt"), 0, "deliveries")
	b.defined["Receipts"] = oneOrMany("Receipt")

	b.events()

	t := defineOutput[eventType](b, "EventType")
	nullable(b.member(t, "schema"))
	nullable(b.member(t, "example"))
	b.member(t, "schema").Description = "The JSON Schema (2020-12) of the data of events of this type; null for none."
	b.member(t, "example").Description = "The data of a test event; null if none were chosen."
	defineOutput[list[eventType]](b, "EventTypeList")
	// The one with the secret first: it embeds the other, to which it cannot refer.
	for _, w := range []*jsonschema.Schema{defineOutput[rotatedWebhook](b, "RotatedWebhook"), defineOutput[webhook](b, "Webhook")} {
		b.sentTexts(w)
		b.sentAuthorization(w)
		b.sentSecret(w)
		b.origin(w)
	}
	b.member(b.defined["RotatedWebhook"], "secret").Description = "Only if it was made here: no other response contains it."
	defineOutput[webhookList](b, "WebhookList")

	// The one with the bodies first: it embeds the other, to which it cannot refer.
	for _, r := range []*jsonschema.Schema{defineOutput[requestDetail](b, "Request"), defineOutput[request](b, "RequestRow")} {
		b.enum(r, "trigger", delivery.TriggerEvent, delivery.TriggerRetry, delivery.TriggerRerun, delivery.TriggerTest, delivery.TriggerReplay)
		b.enum(r, "status", delivery.RequestSuccess, delivery.RequestFailed)
		b.atLeast(r, 1, "attempt", "max_attempts")
		b.atLeast(r, 0, "duration_ms")
		b.member(r, "attempt").Description = "Null for re-runs, tests and replays."
		b.member(r, "status_code").Description = "Null only if no status line was received."
		b.member(r, "error").Description = "What went wrong, as a sentence; empty on success."
		b.member(r, "next_attempt_at").Description = "Null if there is none."
	}
	b.member(b.defined["Request"], "request_headers").Description = "By name, without Host and Content-Length; signatures and credentials are masked. Those that the webhook has are there unless it has changed since. Empty for requests that were sent before this was recorded."
	b.member(b.defined["Request"], "request_body").Description = "The bytes sent; null once the event is no longer kept, and if nothing was sent: a transform could not be evaluated, or an admin canceled the delivery."
	defineOutput[requestList](b, "RequestList")

	b.audit()
	b.stats()
	healthy := defineOutput[health](b, "Health")
	b.enum(healthy, "status", "ok")
	encrypted := defineOutput[encryptionHealth](b, "EncryptionHealth")
	b.member(healthy, "encryption").Description = "For admins, and only if there is an encryption key."
	b.member(encrypted, "key_id").Description = "Names the key that encrypts."
	b.member(encrypted, "done").Description = "Whether that key has encrypted all secrets of webhooks, those included that were stored before."
	b.member(encrypted, "webhooks_checked").Description = "How many webhooks have been looked at for that."
	b.member(defineOutput[fieldError](b, "FieldError"), "field").Description = "The path to the member with dots, such as event_types.0, or 3.event_id for the fourth event of an array; or the name of a query parameter."
	p := defineOutput[problem](b, "Problem")
	b.member(p, "type").Format = "uri-reference"
	b.atLeast(p, 400, "status")
}

// events defines what is listed and read of events and deliveries.
func (b *schemas) events() {
	d := defineOutput[deliveryDetail](b, "Delivery")
	b.enum(d, "status", delivery.DeliveryPending, delivery.DeliverySuccess, delivery.DeliveryFailed)
	b.atLeast(d, 0, "attempts")
	b.member(d, "next_attempt_at").Description = nextOfDelivery
	ev := defineOutput[eventDetail](b, "Event")
	nullable(b.member(ev, "data"))
	b.member(ev, "data").Description = "Null if the event was erased."
	e := defineOutput[listedEvent](b, "ListedEvent")
	b.atLeast(e, 0, "deliveries")
	b.member(e, "deliveries").Description = "How many the event had when it was accepted."
	defineOutput[eventList](b, "EventList")
	d = defineOutput[listedDelivery](b, "ListedDelivery")
	b.set(d, "status", enumSchema(deliveryStatuses...))
	b.atLeast(d, 0, "attempts")
	b.member(d, "url").Description = "The webhook's URL now."
	b.member(d, "next_attempt_at").Description = nextOfDelivery
	b.member(d, "last_request_id").Description = "Null before the first one, as last_error is."
	defineOutput[deliveryList](b, "DeliveryList")
}

// define makes the schema of a type. Types that are defined later refer to it.
func define[T any](b *schemas, name string) *jsonschema.Schema {
	delete(b.known, reflect.TypeFor[T]()) // defined before, under another name
	s, err := jsonschema.For[T](&jsonschema.ForOptions{TypeSchemas: b.known})
	if err != nil {
		b.errs = append(b.errs, fmt.Errorf("%s: %w", name, err))
		s = new(jsonschema.Schema)
	}
	for _, member := range s.Properties {
		if slices.Equal(member.Types, []string{"null", "array"}) {
			member.Type, member.Types = "array", nil // a nil slice is [] to our encoder
		}
	}
	b.defined[name] = s
	b.known[reflect.TypeFor[T]()] = schemaRef(name)
	return s
}

func defineOutput[T any](b *schemas, name string) *jsonschema.Schema {
	s := define[T](b, name)
	s.AdditionalProperties = nil
	return s
}

// member finds a member, and notes if the type has it no more.
func (b *schemas) member(s *jsonschema.Schema, name string) *jsonschema.Schema {
	if m := s.Properties[name]; m != nil {
		return m
	}
	b.errs = append(b.errs, fmt.Errorf("there is no member %s", name))
	return new(jsonschema.Schema)
}

// set narrows what its Go type says of a member.
func (b *schemas) set(s *jsonschema.Schema, name string, to *jsonschema.Schema) {
	*b.member(s, name) = *to
}

func (b *schemas) enum(s *jsonschema.Schema, name string, values ...any) {
	b.member(s, name).Enum = values
}

func (b *schemas) atLeast(s *jsonschema.Schema, least float64, names ...string) {
	for _, name := range names {
		b.member(s, name).Minimum = &least
	}
}

// schema is that of the name of an event type that may be emitted.
func (t *EventTypes) schema() *jsonschema.Schema {
	if !t.any {
		return enumSchema(t.names...)
	}
	return anyTypeSchema()
}

func anyTypeSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "string", MinLength: new(1), MaxLength: new(maxEventTypeLength),
		Not:         &jsonschema.Schema{Const: new(any(delivery.AllEventTypes))},
		Description: fmt.Sprintf("1 to %d bytes of printable characters.", maxEventTypeLength),
	}
}

// wantedSchema is that of one of the event types that a webhook wants.
func (t *EventTypes) wantedSchema() *jsonschema.Schema {
	if t.any || t.caddy {
		return &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(maxEventTypeLength)}
	}
	return enumSchema(append([]string{delivery.AllEventTypes}, t.names...)...)
}

// wantedTypesSchema is that of all of them. That * stands alone is said by keywords that
// generators of clients pass over; an alternative of two arrays they cannot express.
func wantedTypesSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Type: "array", Items: schemaRef("WantedEventType"), MinItems: new(1), MaxItems: new(maxWebhookTypes),
		Description: "A single * stands for every type, including those added later.",
		If:          &jsonschema.Schema{Contains: &jsonschema.Schema{Const: new(any(delivery.AllEventTypes))}},
		Then:        &jsonschema.Schema{MaxItems: new(1)},
	}
}

func oneOrMany(name string) *jsonschema.Schema {
	many := &jsonschema.Schema{Type: "array", Items: schemaRef(name), MinItems: new(1), MaxItems: new(maxEvents)}
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{schemaRef(name), many}}
}

func uuidSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Format: "uuid"} }

func timeSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string", Format: "date-time"} }

func schemaRef(name string) *jsonschema.Schema {
	return &jsonschema.Schema{Ref: "#/components/schemas/" + name}
}

func enumSchema[T ~string](values ...T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, value := range values {
		s.Enum = append(s.Enum, value)
	}
	return s
}

func nullable(s *jsonschema.Schema) { s.Type, s.Types = "", []string{"null", s.Type} }

// jsonOf encodes a constant, which cannot fail.
func jsonOf(v any) json.RawMessage {
	encoded, _ := json.Marshal(v)
	return encoded
}
