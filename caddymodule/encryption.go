package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/spf13/cobra"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// parseEncryptionKeys parses keys. Its errors do not repeat them.
func (a *App) parseEncryptionKeys(d *caddyfile.Dispenser) error {
	keys, err := list(d)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if hasPlaceholder(key) {
			continue // checked once it is resolved
		}
		if _, err := encryption.ParseKey(key); err != nil {
			return d.Errf("encryption_key: %w", err)
		}
	}
	a.EncryptionKeys = append(a.EncryptionKeys, keys...)
	return nil
}

// resolveKeyring makes a keyring of keys as they are configured, nil of none.
func resolveKeyring(repl *caddy.Replacer, keys []string, payloads bool) (*encryption.Keyring, error) {
	texts, err := resolveAll(repl, keys)
	if err != nil {
		return nil, fmt.Errorf("a key %w", err)
	}
	all := make([][]byte, len(texts))
	for i, text := range texts {
		if all[i], err = encryption.ParseKey(text); err != nil {
			return nil, err
		}
	}
	return encryption.New(all, payloads)
}

// useKeyring gives the keys to a store.
func useKeyring(module StoreModule, keys *encryption.Keyring) error {
	if store, ok := module.(KeyringUser); ok {
		store.UseKeyring(keys)
		return nil
	}
	if keys != nil {
		return errors.New("this store cannot encrypt: do without a key, or use the store embedded or redis")
	}
	return nil
}

// warnOfNoKey says once for each store that secrets are stored in clear.
func (a *App) warnOfNoKey() {
	if _, ok := a.store.(KeyringUser); !ok || a.keyring != nil {
		return
	}
	a.engine.noKey.Do(func() {
		a.log.Warn("secrets of webhooks are stored in clear, and so they are in backups: set encryption_key to encrypt them")
	})
}

// copyKeys are the keys of the stores between which a command copies.
type copyKeys struct {
	from, to []string
	payloads bool
}

// add adds the flags of the keys.
func (k *copyKeys) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&k.from, "from-key", nil, "a key of the store to copy from; may be repeated")
	cmd.Flags().StringArrayVar(&k.to, "to-key", nil, "a key of the store to copy to, of which the first encrypts; may be repeated")
	cmd.Flags().BoolVar(&k.payloads, "encrypt-payloads", false, "encrypt events and bodies in the store to copy to, too")
}

// use gives each store its keys.
func (k *copyKeys) use(from, to StoreModule) error {
	if k.payloads && len(k.to) == 0 {
		return errors.New("--encrypt-payloads needs --to-key")
	}
	for _, of := range []struct {
		flag     string
		keys     []string
		payloads bool
		module   StoreModule
	}{{"--from-key", k.from, false, from}, {"--to-key", k.to, k.payloads, to}} {
		keys, err := resolveKeyring(caddy.NewReplacer(), of.keys, of.payloads)
		if err == nil {
			err = useKeyring(of.module, keys)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", of.flag, err)
		}
	}
	return nil
}
