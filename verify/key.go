package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"sync"
)

// key is what a secret means.
type key struct {
	idle sync.Pool // of *mac: making one costs more than the HMAC of a short body
}

// mac is an HMAC-SHA256 by a key.
type mac struct {
	hash.Hash

	sum [sha256.Size]byte
}

func newKey(secret []byte) *key {
	return &key{idle: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}}
}

// mac takes the HMAC of two texts, one after the other. Give it back to idle.
func (k *key) mac(head, body []byte) *mac {
	m := k.idle.Get().(*mac)
	m.Reset()
	m.Write(head)
	m.Write(body)
	m.Sum(m.sum[:0])
	return m
}
