package delivery

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"strconv"
	"sync"
	"time"
)

// What signatures begin with.
const (
	signaturePrefix         = "sha256="
	standardSignaturePrefix = "v1,"
)

// Signature is the value of the signature header: "sha256=" and the hex
// HMAC-SHA256 of the body, keyed with the whole secret.
func Signature(secret string, body []byte) string {
	return newSigner([]byte(secret)).signature(body)
}

// StandardSignature is the value of webhook-signature: v1 of Standard Webhooks,
// over the event's id, the attempt's time in Unix seconds and the body. A secret
// in that specification's own form is decoded; any other is taken as it is.
func StandardSignature(secret, id string, at time.Time, body []byte) string {
	return newSigner(standardKey(secret)).standardSignature(id, at, body)
}

// signer makes HMAC-SHA256 (RFC 2104) of one key. Most of what a short body costs is what
// the key alone decides, so that is done once. A signer never changes, and is safe for
// concurrent use, which one of crypto/hmac is not.
type signer struct {
	inner, outer []byte // states of SHA-256 behind the padded key
}

func newSigner(key []byte) *signer {
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	return &signer{inner: stateBehind(key, 0x36), outer: stateBehind(key, 0x5c)}
}

func stateBehind(key []byte, pad byte) []byte {
	var block [sha256.BlockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= pad
	}
	h := sha256.New()
	h.Write(block[:])
	state, _ := h.(encoding.BinaryMarshaler).MarshalBinary() // which never fails
	return state
}

// signing is what one signature needs beside its signer.
type signing struct {
	hash.Hash
	buf []byte
}

var signings = sync.Pool{New: func() any {
	return &signing{Hash: sha256.New(), buf: make([]byte, 0, 2*sha256.Size)}
}}

// resume goes on from the state of a signer.
func (s *signing) resume(state []byte) {
	_ = s.Hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) // which fails for none of SHA-256
}

// sum is the HMAC of what was written since the inner state.
func (s *signing) sum(outer []byte) []byte {
	s.buf = s.Sum(s.buf[:0])
	s.resume(outer)
	s.Write(s.buf)
	return s.Sum(s.buf[:0])
}

func (s *signer) signature(body []byte) string {
	h := signings.Get().(*signing)
	defer signings.Put(h)
	h.resume(s.inner)
	h.Write(body)
	out := make([]byte, 0, len(signaturePrefix)+2*sha256.Size)
	out = append(out, signaturePrefix...)
	return string(hex.AppendEncode(out, h.sum(s.outer)))
}

func (s *signer) standardSignature(id string, at time.Time, body []byte) string {
	h := signings.Get().(*signing)
	defer signings.Put(h)
	h.resume(s.inner)
	h.buf = append(append(h.buf[:0], id...), '.')
	h.buf = append(strconv.AppendInt(h.buf, at.Unix(), 10), '.')
	h.Write(h.buf)
	h.Write(body)
	out := make([]byte, 0, len(standardSignaturePrefix)+(sha256.Size+2)/3*4)
	out = append(out, standardSignaturePrefix...)
	return string(base64.StdEncoding.AppendEncode(out, h.sum(s.outer)))
}
