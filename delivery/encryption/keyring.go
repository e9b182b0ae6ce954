// Package encryption encrypts secrets and payloads for stores: whoever reads a disk, Redis, or
// a backup of either, learns nothing from them.
//
// The cipher is XChaCha20-Poly1305. Its nonces have 192 bits, so that they can be random for as
// many records as one key will ever encrypt, by however many processes, without a count that all
// of them would have to keep. With AES-256-GCM, whose random nonces last for 2^32 records, a
// busy installation with encrypted payloads would need a new key within days.
package encryption

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of a key in bytes.
const KeySize = chacha20poly1305.KeySize

// An encrypted value consists of its format (2 bytes), the id of its key, the nonce, and the
// box. No JSON and no UTF-8 begins with the format: so it tells what was stored plain.
const (
	format0, format1 = 0xFF, 1

	idAt    = 2
	nonceAt = idAt + len(KeyID{})
	boxAt   = nonceAt + chacha20poly1305.NonceSizeX
	// Overhead is how much longer an encrypted value is than what is in it.
	Overhead = boxAt + chacha20poly1305.Overhead
)

// KeyID tells keys apart, and says nothing of them.
type KeyID [8]byte

func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// keyIDLabel keeps ids of keys from being hashes that anything else has use for.
const keyIDLabel = "caddy-webhooks encryption key id\x00"

// ErrChanged says that an encrypted value is not as it was, or was made for another place.
var ErrChanged = errors.New("an encrypted value was changed, or moved from another record")

// Kind is the kind of record that an encrypted value is a part of.
type Kind byte

// The kinds. They are authenticated with each value: these values must stay.
const (
	Secret Kind = 's' // the secrets of a webhook
	Event  Kind = 'e' // the payload of an event
	Body   Kind = 'b' // the body of a response
)

func (k Kind) String() string {
	switch k {
	case Secret:
		return "a webhook's secret"
	case Event:
		return "the payload of an event"
	default:
		return "the body of a response"
	}
}

// Place is where a value belongs: to a record of a tenant. One that is found elsewhere
// cannot be decrypted.
type Place struct {
	Kind   Kind
	Tenant string
	ID     uuid.UUID // of the webhook, the event or the request
}

// appendTo appends what is authenticated beside a value at this place.
func (p *Place) appendTo(b []byte) []byte {
	b = append(append(b, byte(p.Kind)), p.ID[:]...)
	return append(b, p.Tenant...)
}

// Keyring encrypts with its first key, and decrypts what any of its keys has encrypted. A nil
// Keyring has no key. It is safe for concurrent use.
type Keyring struct {
	keys     []key
	payloads bool

	mu    sync.Mutex
	known map[string]known // by the encrypted value
}

type key struct {
	id   KeyID
	aead cipher.AEAD
}

// New makes a keyring of keys of KeySize bytes, of which the first encrypts, none for no keyring.
// It also encrypts payloads if asked to.
func New(keys [][]byte, payloads bool) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	r := &Keyring{payloads: payloads}
	for _, secret := range keys {
		aead, err := chacha20poly1305.NewX(secret)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte(keyIDLabel), secret...))
		id := KeyID(sum[:])
		if r.find(id) != nil {
			return nil, fmt.Errorf("the same key is given twice: key id %s", id)
		}
		r.keys = append(r.keys, key{id, aead})
	}
	return r, nil
}

// ParseKey reads a key that is written in base64 or hex. Its errors do not repeat the text.
func ParseKey(text string) ([]byte, error) {
	if key, err := hex.DecodeString(text); err == nil && len(key) == KeySize {
		return key, nil
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(text); err == nil && len(key) == KeySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("a key must be %d bytes in base64 or hex, such as \"openssl rand -base64 %d\" prints", KeySize, KeySize)
}

// First is the id of the key that encrypts.
func (r *Keyring) First() KeyID { return r.keys[0].id }

// EncryptsPayloads reports whether payloads are to be encrypted, too.
func (r *Keyring) EncryptsPayloads() bool { return r != nil && r.payloads }

// Equal reports whether two keyrings have the same keys, and encrypt the same.
func (r *Keyring) Equal(other *Keyring) bool {
	if r == nil || other == nil {
		return r == other
	}
	same := func(a, b key) bool { return a.id == b.id }
	return r.payloads == other.payloads && slices.EqualFunc(r.keys, other.keys, same)
}

func (r *Keyring) find(id KeyID) cipher.AEAD {
	if r == nil {
		return nil
	}
	for i := range r.keys {
		if r.keys[i].id == id {
			return r.keys[i].aead
		}
	}
	return nil
}

// scratch has memory for what is authenticated beside the value.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// Encrypt appends an encrypted value to b, which must not overlap with the value.
func (r *Keyring) Encrypt(b []byte, at Place, value []byte) []byte {
	first := &r.keys[0]
	b = slices.Grow(b, len(value)+Overhead)
	start := len(b)
	b = append(append(b, format0, format1), first.id[:]...)
	b = b[:start+boxAt]
	nonce := b[start+nonceAt:]
	_, _ = rand.Read(nonce) // crypto/rand.Read never fails since Go 1.24
	beside, _ := scratch.Get().(*[]byte)
	defer scratch.Put(beside)
	*beside = at.appendTo((*beside)[:0])
	return first.aead.Seal(b, nonce, value, *beside)
}

// Decrypt decrypts a value that was encrypted for a place. It returns one that is not encrypted
// as it is.
func (r *Keyring) Decrypt(at Place, value []byte) ([]byte, error) {
	id, ok := EncryptedBy(value)
	if !ok {
		return value, nil
	}
	aead := r.find(id)
	if aead == nil {
		return nil, &MissingKeyError{at.Kind.String(), id}
	}
	beside, _ := scratch.Get().(*[]byte)
	defer scratch.Put(beside)
	*beside = at.appendTo((*beside)[:0])
	plain, err := aead.Open(nil, value[nonceAt:boxAt], value[boxAt:], *beside)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at.Kind, ErrChanged)
	}
	return plain, nil
}

// EncryptedBy says with which key a value is encrypted, false if it is not encrypted.
func EncryptedBy(value []byte) (id KeyID, ok bool) {
	if len(value) < Overhead || value[0] != format0 || value[1] != format1 {
		return id, false
	}
	return KeyID(value[idAt:nonceAt]), true
}

// maxKnown is how many values DecryptOnce remembers. Beyond that it drops them all.
const maxKnown = 16_384

// known is a value that was decrypted, and where it belongs.
type known struct {
	at    Place
	plain []byte
}

// DecryptOnce is Decrypt for values that are read again and again: it remembers the plain ones,
// which the caller must not change.
func (r *Keyring) DecryptOnce(at Place, value []byte) ([]byte, error) {
	if r == nil {
		return r.Decrypt(at, value)
	}
	r.mu.Lock()
	last, ok := r.known[string(value)]
	r.mu.Unlock()
	if ok && last.at == at {
		return last.plain, nil
	}
	plain, err := r.Decrypt(at, value)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil || len(r.known) >= maxKnown {
		r.known = make(map[string]known)
	}
	r.known[string(value)] = known{at, plain}
	return plain, nil
}
