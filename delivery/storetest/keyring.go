package storetest

import (
	"bytes"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// Keyring makes a keyring of keys that consist of one byte each.
func Keyring(t testing.TB, payloads bool, keys ...byte) *encryption.Keyring {
	t.Helper()
	all := make([][]byte, len(keys))
	for i, b := range keys {
		all[i] = bytes.Repeat([]byte{b}, encryption.KeySize)
	}
	r, err := encryption.New(all, payloads)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
