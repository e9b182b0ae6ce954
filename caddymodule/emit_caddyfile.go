package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("webhooks_emit", parseEmit)
	httpcaddyfile.RegisterDirectiveOrder("webhooks_emit", httpcaddyfile.Before, "reverse_proxy")
}

func parseEmit(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	emit := new(Emit)
	return emit, emit.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from the Caddyfile:
//
//	webhooks_emit [<matcher>] <event type> {
//		on <status>...
//		data response | request | <text>
//		id <text>
//		tenant <text>
//		strict
//		max_size <size>
//	}
//
// In place of the event type, `from_header [<name>]` takes it from a header of the response.
func (e *Emit) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if !d.NextArg() {
		return d.Err("webhooks_emit needs an event type, or from_header")
	}
	if d.Val() == "from_header" {
		e.FromHeader = defaultEmitHeader
		if d.NextArg() {
			e.FromHeader = d.Val()
		}
	} else {
		e.EventType = d.Val()
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	if err := e.check(); err != nil {
		return d.WrapErr(err)
	}
	checked := func(parse func(*caddyfile.Dispenser) error) func(*caddyfile.Dispenser) error {
		return func(d *caddyfile.Dispenser) error {
			if err := parse(d); err != nil {
				return err
			}
			if err := e.check(); err != nil {
				return d.WrapErr(err)
			}
			return nil
		}
	}
	_, err := parseBlock(d, "webhooks_emit", map[string]option{
		"on": {parse: checked(func(d *caddyfile.Dispenser) (err error) {
			e.On, err = list(d)
			return err
		})},
		"data": {parse: func(d *caddyfile.Dispenser) error { return text(d, &e.Data) }},
		"id":   {parse: func(d *caddyfile.Dispenser) error { return text(d, &e.ID) }},
		"tenant": {parse: func(d *caddyfile.Dispenser) error {
			if err := text(d, &e.Tenant); err != nil {
				return err
			}
			if !hasPlaceholder(e.Tenant) && !api.ValidTenant(e.Tenant) {
				return d.WrapErr(errTenant)
			}
			return nil
		}},
		"strict":   {parse: bare(&e.Strict)},
		"max_size": {parse: checked(nonZero(size(&e.MaxSize)))},
	})
	return err
}

// Bounds of emit_queue.
const minQueueSize, maxQueueSize = 1 << 20, 16 << 30

// checkEmitQueue returns an error if emit_queue makes no sense.
func (a *App) checkEmitQueue() error {
	if a.EmitQueue != 0 && (a.EmitQueue < minQueueSize || a.EmitQueue > maxQueueSize) {
		return fmt.Errorf("emit_queue must be 1MiB to 16GiB, not %d bytes", a.EmitQueue)
	}
	return nil
}

// queueSize is how many bytes the events that wait may take.
func (a *App) queueSize() int64 {
	if a.EmitQueue == 0 {
		return defaultQueueSize
	}
	return a.EmitQueue
}

// Interface guard
var _ caddyfile.Unmarshaler = (*Emit)(nil)
