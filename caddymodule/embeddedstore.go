package caddymodule

import (
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

func init() {
	caddy.RegisterModule(new(EmbeddedStore))
}

// EmbeddedStore keeps everything in a folder on this machine's disk and needs no
// server. Events are on the disk before they are answered with 202. Only one process
// can use the folder at a time. Another one waits for it, and answers calls with 503
// until then.
type EmbeddedStore struct {
	// The folder, which is created if it does not exist. It must be on a disk of
	// this machine, since network file systems may not keep their promises about
	// durability and locks. It can contain global placeholders. Default: `webhooks`
	// in Caddy's data folder.
	Folder string `json:"folder,omitempty"`

	folder  string // absolute
	keyring *encryption.Keyring
}

// CaddyModule returns the Caddy module information.
func (*EmbeddedStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhooks.stores.embedded",
		New: func() caddy.Module { return new(EmbeddedStore) },
	}
}

// Provision resolves the folder; it touches nothing.
func (s *EmbeddedStore) Provision(caddy.Context) error {
	folder := filepath.Join(caddy.AppDataDir(), "webhooks")
	var err error
	if s.Folder != "" {
		if folder, err = resolve(caddy.NewReplacer(), s.Folder); err != nil {
			return fmt.Errorf("store embedded: folder %w", err)
		}
	}
	if s.folder, err = filepath.Abs(folder); err != nil {
		return fmt.Errorf("store embedded: %w", err)
	}
	return nil
}

// Identity names the folder.
func (s *EmbeddedStore) Identity() string { return "embedded in " + s.folder }

// NewStore makes a store that opens its file when it is opened.
func (s *EmbeddedStore) NewStore(log *zap.Logger) (delivery.Store, error) {
	return embedded.New(s.folder, embedded.WithLogger(log), embedded.WithKeyring(s.keyring)), nil
}

// UseKeyring has the store encrypt.
func (s *EmbeddedStore) UseKeyring(keys *encryption.Keyring) { s.keyring = keys }

// Use changes the keys of a store: there is one way to a file.
func (s *EmbeddedStore) Use(store delivery.Store) {
	if store, ok := store.(*embedded.Store); ok {
		store.UseKeyring(s.keyring)
	}
}

// UnmarshalCaddyfile sets the store up from the Caddyfile:
//
//	embedded [<folder>]
func (s *EmbeddedStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume store name
	if d.NextArg() {
		if s.Folder = d.Val(); s.Folder == "" {
			return d.Err("store embedded: the folder is empty")
		}
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	line := *d
	if d.NextBlock(d.Nesting()) {
		return line.Err("store embedded has no options")
	}
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner     = (*EmbeddedStore)(nil)
	_ caddyfile.Unmarshaler = (*EmbeddedStore)(nil)
	_ KeyringUser           = (*EmbeddedStore)(nil)
)
