package caddymodule

import (
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// StoreModule is a module of the namespace webhooks.stores. Its Provision does
// no I/O.
type StoreModule interface {
	// Identity names the place where the store keeps its data, and nothing else:
	// configurations that only differ in how they get there share one engine.
	// People read it in errors. It holds no credentials.
	Identity() string
	// NewStore makes the store. It does no I/O; the store is opened once a
	// configuration has started. The logger is good for the store's whole life.
	NewStore(log *zap.Logger) (delivery.Store, error)
	// Use makes a store of the same identity, which another configuration made,
	// get to its data as this module's configuration says: with its credentials.
	Use(store delivery.Store)
}
