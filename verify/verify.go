// Package verify checks the signatures of webhooks that others send. It knows nothing of
// Caddy, and reads nothing.
package verify

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ReasonError is why a request is refused. It is for the log and a metric: whoever sent the
// request is not told.
type ReasonError string

// The reasons.
const (
	// ErrUnsigned: the request lacks a header that the scheme has.
	ErrUnsigned ReasonError = "unsigned"
	// ErrMalformed: a header of the scheme cannot be read, or is there more than once; or there are
	// no signatures, or too many.
	ErrMalformed ReasonError = "malformed"
	// ErrStale: the time of the request is too far from now.
	ErrStale ReasonError = "stale"
	// ErrForged: no signature is one of the secrets', of these headers and this body.
	ErrForged ReasonError = "forged"
)

func (r ReasonError) Error() string { return "the request is " + string(r) }

// maxSignatures is how many signatures a request may have: one for each of a sender's secrets.
const maxSignatures = 16

// Verifier checks requests of one scheme. It is safe for concurrent use.
type Verifier struct {
	scheme    *scheme
	keys      []*key
	tolerance time.Duration
}

// New makes a verifier with the secrets that senders may sign with, at least one. Tolerance is
// how far the time of a request may be from now, in both directions, if the scheme signs one. An
// error continues "secret", and does not show it.
func New(schemeName string, secrets []string, tolerance time.Duration) (*Verifier, error) {
	s := schemes[schemeName]
	if s == nil {
		return nil, fmt.Errorf("there is no scheme %q", schemeName)
	}
	v := &Verifier{scheme: s, tolerance: tolerance}
	for _, secret := range secrets {
		key, err := s.key(secret)
		if err != nil {
			return nil, err
		}
		v.keys = append(v.keys, newKey(key))
	}
	return v, nil
}

var errNoSecret = errors.New("is empty")

// Head is what the headers of a request say.
type Head struct {
	// ID is the sender's for the message, "" if the scheme has none.
	ID string
	// Timestamp is when the message was sent, in Unix seconds as it was signed, "" if the
	// scheme signs none.
	Timestamp string
	// At is the same time.
	At time.Time

	scope      string // what belongs to the id
	prefix     []byte // what is signed before the body
	signatures signatures
}

// Head checks the headers of a request. An error is a ReasonError.
func (v *Verifier) Head(h http.Header, now time.Time) (*Head, error) {
	head, err := v.scheme.read(headers{h})
	if err == nil {
		err = head.signatures.check()
	}
	if err != nil {
		return nil, err
	}
	if v.scheme.timed {
		if head.At, err = parseTimestamp(head.Timestamp); err != nil {
			return nil, err
		}
		if off := now.Sub(head.At); off > v.tolerance || off < -v.tolerance {
			return nil, ErrStale
		}
	}
	return head, nil
}

// parseTimestamp reads Unix seconds. Only digits are taken, and not more than a time can have.
func parseTimestamp(text string) (time.Time, error) {
	if len(text) > 12 {
		return time.Time{}, ErrMalformed
	}
	seconds, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return time.Time{}, ErrMalformed
	}
	return time.Unix(int64(seconds), 0), nil
}

// Body checks whether a body belongs to the head. The error is a ReasonError. All signatures are
// compared with those of all secrets, in constant time.
func (v *Verifier) Body(head *Head, body []byte) error {
	right := false
	for _, key := range v.keys {
		mac := key.mac(head.prefix, body)
		for _, signature := range head.signatures {
			if hmac.Equal(signature, mac.sum[:]) {
				right = true
			}
		}
		key.idle.Put(mac)
	}
	if !right {
		return ErrForged
	}
	return nil
}

// Message is a hash of what tells a message from others: its id or, if the scheme has none, all
// that is signed. It is the same for each of several signatures that the message may have.
func (v *Verifier) Message(head *Head, body []byte) (message [16]byte) {
	h := sha256.New()
	h.Write([]byte(v.scheme.name))
	if head.ID != "" {
		for _, part := range []string{head.ID, head.scope} {
			h.Write([]byte{0})
			h.Write([]byte(part))
		}
	} else {
		h.Write([]byte{1})
		h.Write(head.prefix)
		h.Write(body)
	}
	copy(message[:], h.Sum(nil))
	return message
}

// Guards are hashes of the secrets, for a purpose that has a name. Whoever knows one does not
// know the secret.
func (v *Verifier) Guards(purpose string) [][8]byte {
	guards := make([][8]byte, len(v.keys))
	for i, key := range v.keys {
		copy(guards[i][:], key.mac([]byte("webhook_verify\x00"+v.scheme.name+"\x00"+purpose), nil).sum[:])
	}
	return guards
}
