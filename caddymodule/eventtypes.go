package caddymodule

import (
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

// EventType declares a type of events that can be emitted.
type EventType struct {
	// The name: 1 to 128 printable characters. It can be one of `event_types`, to which
	// this then adds.
	Name string `json:"name,omitempty"`

	// What such an event means, for people; up to 1,000 characters. Default: none, or that
	// of the type if it is one of the eight that there are by default.
	Description string `json:"description,omitempty"`

	// A file with a JSON Schema (2020-12) of the events' data, up to 256 KiB. An event
	// whose data does not fit is refused. References must stay within the schema, and
	// patterns are those of RE2. `format` is not checked. The file is read when the
	// configuration is loaded. Default: none, any object will do.
	Schema string `json:"schema,omitempty"`

	// A file with the data of a test event, a JSON object of up to 256 KiB, which must fit
	// the schema. Without one, types with a schema of their own may have no test event.
	// Default: none.
	Example string `json:"example,omitempty"`
}

// parseEventType parses a line of the global option:
//
//	event_type <name> {
//		description <text>
//		schema <file>
//		example <file>
//	}
func (a *App) parseEventType(d *caddyfile.Dispenser) error {
	var one EventType
	if err := text(d, &one.Name); err != nil {
		return err
	}
	for i := range a.DeclaredEventTypes {
		if a.DeclaredEventTypes[i].Name == one.Name {
			return d.Errf("event_type: '%s' is declared twice", one.Name)
		}
	}
	if !hasPlaceholder(one.Name) {
		if _, err := api.NewEventTypes(nil, api.DeclaredType{Name: one.Name}); err != nil {
			return d.WrapErr(err)
		}
	}
	_, err := parseBlock(d, "event_type", map[string]option{
		"description": {parse: func(d *caddyfile.Dispenser) error { return text(d, &one.Description) }},
		"schema":      {parse: func(d *caddyfile.Dispenser) error { return text(d, &one.Schema) }},
		"example":     {parse: func(d *caddyfile.Dispenser) error { return text(d, &one.Example) }},
	})
	a.DeclaredEventTypes = append(a.DeclaredEventTypes, one)
	return err
}

// resolveEventTypes replaces placeholders in the names, and reads what is declared.
func (a *App) resolveEventTypes(repl *caddy.Replacer) (*api.EventTypes, error) {
	names, err := resolveAll(repl, a.EventTypes)
	if err != nil {
		return nil, fmt.Errorf("event_types: one %w", err)
	}
	most, err := a.eventSize()
	if err != nil {
		return nil, err
	}
	declared := make([]api.DeclaredType, len(a.DeclaredEventTypes))
	for i := range a.DeclaredEventTypes {
		if declared[i], err = a.DeclaredEventTypes[i].resolve(repl, most); err != nil {
			return nil, fmt.Errorf("event_type %s: %w", a.DeclaredEventTypes[i].Name, err)
		}
	}
	return api.NewEventTypes(names, declared...)
}

// resolve replaces placeholders and reads the files. An event has at most so many bytes.
func (e *EventType) resolve(repl *caddy.Replacer, mostOfEvent int64) (api.DeclaredType, error) {
	var out api.DeclaredType
	for _, value := range []struct {
		name string
		from string
		to   *string
	}{
		{"name", e.Name, &out.Name},
		{"description", e.Description, &out.Description},
		{"schema", e.Schema, &out.Schema.Name},
		{"example", e.Example, &out.Example.Name},
	} {
		if value.from == "" && value.name != "name" {
			continue
		}
		var err error
		if *value.to, err = resolve(repl, value.from); err != nil {
			return out, fmt.Errorf("%s %w", value.name, err)
		}
	}
	var err error
	if out.Schema.Content, err = readTypeFile(out.Schema.Name); err != nil {
		return out, fmt.Errorf("schema: %w", err)
	}
	if out.Example.Content, err = readTypeFile(out.Example.Name); err != nil {
		return out, fmt.Errorf("example: %w", err)
	}
	if int64(len(out.Example.Content)) > mostOfEvent {
		return out, fmt.Errorf("example: %s is larger than an event may be by max_event_size", out.Example.Name)
	}
	return out, nil
}

// readTypeFile reads a file, of one that is too large no more than shows that it is. Without a
// name there is none.
func readTypeFile(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(file, api.MaxTypeFile+1))
}
