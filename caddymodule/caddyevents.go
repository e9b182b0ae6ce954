package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func init() {
	caddy.RegisterModule(new(CaddyEvents))
}

// CaddyEvents emits Caddy's events, such as `cert_failed` or `unhealthy`, as events of the tenant
// `default`, with the type `caddy.<event>`, whatever types are configured. Their data are those of
// Caddy's event. Whoever raises them does not wait: they take the way of the events of
// `webhooks_emit`.
type CaddyEvents struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (*CaddyEvents) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "events.handlers.webhooks",
		New: func() caddy.Module { return new(CaddyEvents) },
	}
}

// UnmarshalCaddyfile sets up the handler from a line of the global option `events`:
//
//	on <event> webhooks
func (*CaddyEvents) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the name
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Provision finds the app, and lets webhooks choose Caddy's events.
func (c *CaddyEvents) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	c.app = app
	app.types.AllowCaddyEvents()
	return nil
}

// Handle emits an event.
func (*CaddyEvents) Handle(_ context.Context, e caddy.Event) error {
	data := dataOf(e.Data)
	g := &gatewayEvent{
		tenant: api.DefaultTenant,
		event:  delivery.NewEvent{ID: e.ID(), Type: api.CaddyEventType + e.Name(), OccurredAt: e.Timestamp()},
		body:   data, ofCaddy: true, maxSize: api.MaxArraySize,
	}
	if !gateway.reserve(int64(len(data))) {
		gateway.note(outcomeDropped, g.event.Type, g.tenant, errQueueFull)
		return nil
	}
	g.memory = int64(len(data))
	gateway.add(g)
	return nil
}

// dataOf are the data of Caddy's event as JSON. Of a value that cannot be JSON, such as a
// connection, there is its type.
func dataOf(values map[string]any) []byte {
	members := make(map[string]json.RawMessage, len(values))
	for name, value := range values {
		encoded, err := json.Marshal(value)
		if err != nil {
			encoded, _ = json.Marshal(fmt.Sprintf("%T", value)) // a text
		}
		members[name] = encoded
	}
	encoded, _ := json.Marshal(members) // all of which are JSON
	return encoded
}

// Interface guards
var (
	_ caddy.Provisioner     = (*CaddyEvents)(nil)
	_ caddyfile.Unmarshaler = (*CaddyEvents)(nil)
	_ caddyevents.Handler   = (*CaddyEvents)(nil)
)
