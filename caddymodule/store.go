package caddymodule

import (
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// StoreModule is a module in the namespace webhooks.stores. Its Provision does no
// I/O.
type StoreModule interface {
	// Identity names the place where the store keeps its data. Configurations with
	// the same identity share one engine, even if they differ in how they connect.
	// Errors show it to users, so it contains no credentials.
	Identity() string
	// NewStore makes the store without any I/O. The store is opened after a
	// configuration has started. It can use the logger as long as it lives.
	NewStore(log *zap.Logger) (delivery.Store, error)
	// Use changes how a store of the same identity, which another configuration
	// made, connects: as this module's configuration says, with its credentials.
	Use(store delivery.Store)
}

// KeyringUser is a StoreModule whose stores can encrypt.
type KeyringUser interface {
	StoreModule
	// UseKeyring is called before NewStore and Use, which pass the keyring on to the store.
	// It is nil if there is no key.
	UseKeyring(keys *encryption.Keyring)
}
