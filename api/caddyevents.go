package api

import (
	"errors"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// CaddyEventType begins the types of events that are made of Caddy's own.
const CaddyEventType = "caddy."

// AllowCaddyEvents lets webhooks want events that are made of Caddy's, whatever types there are.
// Nobody can emit these by the API for that. It is called before the types are used.
func (t *EventTypes) AllowCaddyEvents() { t.caddy = true }

// withCaddyEvents are the same types where webhooks may want Caddy's events.
func (t *EventTypes) withCaddyEvents() *EventTypes {
	all := *t
	all.AllowCaddyEvents()
	return &all
}

// checkAny says what keeps events from having the type where any name will do.
func (t *EventTypes) checkAny(name string) error {
	if t.caddy && strings.HasPrefix(name, CaddyEventType) {
		return errors.New("types that begin with caddy. are those of Caddy's own events")
	}
	return checkEventType(name)
}

// mayWant says what keeps webhooks from wanting events of a type.
func (t *EventTypes) mayWant(name string) error {
	if t.caddy && strings.HasPrefix(name, CaddyEventType) {
		return checkEventType(name)
	}
	return t.check(name)
}

// testedSchema is that of the type of a test event, which is one that a webhook may want.
func (t *EventTypes) testedSchema() *jsonschema.Schema {
	if t.any || !t.caddy {
		return schemaRef("EventTypeName")
	}
	return anyTypeSchema()
}
