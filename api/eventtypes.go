package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxEventTypeLength is how many bytes the name of an event type may have.
const maxEventTypeLength = 128

// EventTypes are the types that events may have.
type EventTypes struct {
	any   bool                  // every name that is one
	names []string              // of those that are listed: unless any, all that events may have
	known map[string]*eventType // by name
	// schemas says that events of some types are checked.
	schemas bool
	caddy   bool // webhooks may want Caddy's events, too
}

// eventType is a type as responses have it.
type eventType struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Schema      jsontext.Value `json:"schema"`  // of the data of events, nil for none
	Example     jsontext.Value `json:"example"` // what a test event carries, nil for none

	schema *eventSchema // nil for none
}

// NewEventTypes makes the types that are configured by their names, and those that are
// declared one by one. Without either, they are the standard ones. A declaration of a type that
// names has adds to it.
func NewEventTypes(names []string, declared ...DeclaredType) (*EventTypes, error) {
	if len(names) == 0 && len(declared) == 0 {
		for i := range standardTypes {
			names = append(names, standardTypes[i].name)
		}
	}
	types := &EventTypes{known: make(map[string]*eventType, len(names)+len(declared))}
	if slices.Contains(names, delivery.AllEventTypes) {
		if len(names) > 1 {
			return nil, errors.New("event_types: * accepts every name, so it must stand alone")
		}
		types.any, names = true, nil
	}
	if err := checkTypeCount(len(names)); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := checkEventType(name); err != nil {
			return nil, fmt.Errorf("event_types: %w", err)
		}
		if _, known := types.known[name]; known {
			return nil, fmt.Errorf("event_types: '%s' is given twice", name)
		}
		types.add(standardOrPlain(name))
	}
	if err := types.declare(declared); err != nil {
		return nil, err
	}
	return types, checkTypeCount(len(types.names))
}

func checkTypeCount(n int) error {
	if n > delivery.MaxEventTypes {
		return fmt.Errorf("event_types: there are %d, and %d are the most; * accepts any name", n, delivery.MaxEventTypes)
	}
	return nil
}

func (t *EventTypes) add(one *eventType) {
	if _, known := t.known[one.Name]; !known {
		t.names = append(t.names, one.Name)
	}
	t.known[one.Name] = one
}

// Any reports whether events may have any name as their type.
func (t *EventTypes) Any() bool { return t.any }

// checkEventType says what keeps a text from being the name of an event type.
func checkEventType(name string) error {
	switch {
	case name == "" || len(name) > maxEventTypeLength:
		return fmt.Errorf("the name of an event type must have 1 to %d bytes", maxEventTypeLength)
	case name == delivery.AllEventTypes:
		return errors.New("* cannot be an event type")
	case !utf8.ValidString(name):
		return errors.New("the name of an event type must be UTF-8")
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return errors.New("the name of an event type must have only printable characters")
		}
	}
	return nil
}

// check says what keeps events from having the type.
func (t *EventTypes) check(name string) error {
	if t.any {
		return t.checkAny(name)
	}
	if _, known := t.known[name]; !known {
		return errors.New("this event type is not configured: GET api/event-types lists those that are")
	}
	return nil
}

// find is the type with the name; ok is false if events cannot have it.
func (t *EventTypes) find(name []byte) (found string, ok bool) {
	if one := t.known[string(name)]; one != nil {
		return one.Name, true
	}
	if t.any {
		found = string(name)
		return found, t.checkAny(found) == nil
	}
	return "", false
}

// example chooses the type of a test event for a webhook that wants some types; ok is
// false if no event can be emitted that it wants.
func (t *EventTypes) example(wanted []string) (name string, ok bool) {
	switch {
	case !slices.Contains(wanted, delivery.AllEventTypes):
	case len(t.names) == 0: // any
		return "test", true
	default:
		return t.names[0], true
	}
	for _, name := range wanted {
		if t.mayWant(name) == nil {
			return name, true
		}
	}
	return "", false
}

// listEventTypes handles GET /api/event-types. When any name will do, there is
// nothing to list but what is declared.
func listEventTypes(_ context.Context, c *call) (response, error) {
	all := make([]eventType, len(c.api.EventTypes.names))
	for i, name := range c.api.EventTypes.names {
		all[i] = *c.api.EventTypes.known[name]
	}
	return response{status: http.StatusOK, body: list[eventType]{all}}, nil
}
