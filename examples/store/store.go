// Package store is an example: how a store of your own becomes a module of Caddy. Here
// it is the one in memory, which forgets everything when Caddy ends. In a Caddyfile:
//
//	{
//		webhooks {
//			store memory
//		}
//	}
//
// A build of Caddy that has it is made by xcaddy, with the package's import path:
//
//	xcaddy build --with github.com/caddy-webhooks/caddy-webhooks/examples/store
//
// What a store has to do delivery.Store says; package delivery/memory shows it; and
// storetest.Run, in store_test.go, tells whether it does.
package store

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/caddymodule"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

func init() {
	caddy.RegisterModule(new(Memory))
}

// Memory keeps everything in memory: for trying things out.
type Memory struct{}

// CaddyModule returns the Caddy module information. What follows "webhooks.stores." is
// the store's name in the Caddyfile.
func (*Memory) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhooks.stores.memory",
		New: func() caddy.Module { return new(Memory) },
	}
}

// Identity names where the data is: here there is only one place. As long as it stays
// the same over a reload, so does the store.
func (*Memory) Identity() string { return "memory" }

// NewStore makes the store. The logger is for what it has to say.
func (*Memory) NewStore(*zap.Logger) (delivery.Store, error) { return memory.New(), nil }

// Use gives a store that is open new credentials, say, after a reload. This one has none.
func (*Memory) Use(delivery.Store) {}

// UnmarshalCaddyfile reads the line of the Caddyfile:
//
//	store memory
func (*Memory) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume store name
	if d.NextArg() || d.NextBlock(d.Nesting()) {
		return d.ArgErr()
	}
	return nil
}

// Interface guards
var (
	_ caddymodule.StoreModule = (*Memory)(nil)
	_ caddyfile.Unmarshaler   = (*Memory)(nil)
)
