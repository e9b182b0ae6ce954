package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxEventTypeLength is how many bytes the name of an event type may have.
const maxEventTypeLength = 128

// eventTypes are the types that events may have.
type eventTypes struct {
	any   bool     // every name that is one
	names []string // unless any
	known map[string]bool

	openapi func() (jsontext.Value, error) // the OpenAPI document with them, made once
}

// newEventTypes makes the configured types; none means the default ones.
func newEventTypes(names []string) (eventTypes, error) {
	types, err := checkEventTypes(names)
	types.openapi = sync.OnceValues(func() (jsontext.Value, error) { return newOpenAPI(&types) })
	return types, err
}

func checkEventTypes(names []string) (eventTypes, error) {
	if len(names) == 0 {
		for i := range standardTypes {
			names = append(names, standardTypes[i].name)
		}
	}
	if slices.Contains(names, delivery.AllEventTypes) {
		if len(names) > 1 {
			return eventTypes{}, errors.New("event_types: * accepts every name, so it stands alone")
		}
		return eventTypes{any: true}, nil
	}
	types := eventTypes{names: names, known: make(map[string]bool, len(names))}
	for _, name := range names {
		if err := checkEventType(name); err != nil {
			return eventTypes{}, fmt.Errorf("event_types: %w", err)
		}
		if types.known[name] {
			return eventTypes{}, fmt.Errorf("event_types: '%s' is given twice", name)
		}
		types.known[name] = true
	}
	return types, nil
}

// checkEventType says what keeps a text from being the name of an event type.
func checkEventType(name string) error {
	switch {
	case name == "" || len(name) > maxEventTypeLength:
		return fmt.Errorf("the name of an event type has 1 to %d bytes", maxEventTypeLength)
	case name == delivery.AllEventTypes:
		return errors.New("* is not an event type")
	case !utf8.ValidString(name):
		return errors.New("the name of an event type is UTF-8")
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return errors.New("the name of an event type has only printable characters")
		}
	}
	return nil
}

// check says what keeps events from having the type.
func (t *eventTypes) check(name string) error {
	if t.any {
		return checkEventType(name)
	}
	if !t.known[name] {
		return errors.New("there is no such event type; GET api/event-types lists them")
	}
	return nil
}

// example chooses the type of a test event for a webhook that wants some types.
func (t *eventTypes) example(wanted []string) string {
	for _, name := range wanted {
		if t.check(name) == nil {
			return name
		}
	}
	if t.any {
		return "test"
	}
	return t.names[0]
}

type eventType struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// listEventTypes answers GET /api/event-types. When any name will do, there is
// nothing to list.
func listEventTypes(_ context.Context, c *call) (answer, error) {
	list := make([]eventType, len(c.app.types.names))
	for i, name := range c.app.types.names {
		list[i] = eventType{Name: name, Description: description(name)}
	}
	return answer{status: http.StatusOK, body: data[eventType]{list}}, nil
}
