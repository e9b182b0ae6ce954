// Package record encodes webhooks, events and requests for stores, in CBOR (RFC 8949).
// Webhooks are maps: a version ignores what a later one has added. Events and requests are
// arrays: a version can decode its own and those of earlier versions.
package record

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// version is the first element of every array. New elements may only be added at the end.
const version = 1

// headlessVersion is in place of it in an event that is Headless.
const headlessVersion = 2

// erasedVersion is in place of it in an event that is Erased. A script in Redis knows it, too.
const erasedVersion = 3

// What version is raised by in a row of the log that is Transformed, and in one with a signature
// by the previous secret.
const (
	transformedBit = 1 << iota
	previousBit
)

// Overhead is enough for all of a record but its texts and its payload.
const Overhead = 80

// ErrUnreadable says that stored bytes are not a record.
var ErrUnreadable = errors.New("a record in the store cannot be read")

var encoder = func() cbor.EncMode {
	mode, err := cbor.EncOptions{Time: cbor.TimeRFC3339NanoUTC}.EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// decoder accepts texts that are not UTF-8: one bad byte in an error message that an
// endpoint caused must not hide a row.
var decoder = func() cbor.DecMode {
	mode, err := cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

func encode(v any) []byte {
	b, err := encoder.Marshal(v)
	if err != nil {
		panic(err) // the types below always encode
	}
	return b
}

func decode(b []byte, v any) error {
	if err := decoder.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return nil
}

type webhook struct {
	URL         string    `cbor:"url"`
	Secret      string    `cbor:"secret,omitempty"`
	Description string    `cbor:"description,omitempty"`
	Enabled     bool      `cbor:"enabled"`
	EventTypes  []string  `cbor:"event_types"`
	CreatedAt   time.Time `cbor:"created_at"`
	UpdatedAt   time.Time `cbor:"updated_at"`
	DisabledAt  time.Time `cbor:"disabled_at,omitzero"`
	// What later versions added:
	Headers map[string]string `cbor:"headers,omitempty"`
	Timeout time.Duration     `cbor:"timeout,omitempty"`
	// Of the authorization, Credential is its credential while that is not encrypted.
	Authorization  *authorization          `cbor:"authorization,omitempty"`
	Metadata       map[string]string       `cbor:"metadata,omitempty"`
	Retry          *retry                  `cbor:"retry,omitempty"`
	Concurrency    int                     `cbor:"concurrency,omitempty"`
	Filter         string                  `cbor:"filter,omitempty"`
	Transform      string                  `cbor:"transform,omitempty"`
	OrderBy        string                  `cbor:"order_by,omitempty"`
	DisabledReason delivery.DisabledReason `cbor:"disabled_reason,omitempty"`
	// The private key of the certificate is as the credential.
	Certificate string `cbor:"certificate,omitempty"`
	PrivateKey  string `cbor:"private_key,omitempty"`
	// So is the previous secret.
	SecretChangedAt     time.Time `cbor:"secret_changed_at,omitzero"`
	PreviousSecret      string    `cbor:"previous_secret,omitempty"`
	PreviousSecretUntil time.Time `cbor:"previous_secret_until,omitzero"`
	Declared            bool      `cbor:"declared,omitempty"`

	RateLimit *rateLimit `cbor:"rate_limit,omitempty"`
	// Encrypted has the secrets if they are encrypted. They are not in the members above then.
	Encrypted []byte `cbor:"encrypted,omitempty"`
}

// retry is a delivery.Retry, with times in nanoseconds.
type retry struct {
	Attempts int             `cbor:"attempts,omitempty"`
	Delays   []time.Duration `cbor:"delays,omitempty"`
	Jitter   []time.Duration `cbor:"jitter,omitempty"`
}

// rateLimit is a delivery.RateLimit, with a time in nanoseconds.
type rateLimit struct {
	Requests int           `cbor:"requests"`
	Per      time.Duration `cbor:"per"`
}

// authorization is a delivery.Authorization.
type authorization struct {
	Type       delivery.AuthorizationType `cbor:"type"`
	Credential string                     `cbor:"credential,omitempty"`
	Username   string                     `cbor:"username,omitempty"`
	Name       string                     `cbor:"name,omitempty"`
	TokenURL   string                     `cbor:"token_url,omitempty"`
	ClientID   string                     `cbor:"client_id,omitempty"`
	Scope      string                     `cbor:"scope,omitempty"`
}

// secrets are what is encrypted of a webhook.
type secrets struct {
	Secret     string `cbor:"secret,omitempty"`
	Credential string `cbor:"credential,omitempty"` // of the authorization
	PrivateKey string `cbor:"private_key,omitempty"`
	Previous   string `cbor:"previous_secret,omitempty"`
}

// put puts secrets where they are in clear.
func (r *webhook) put(s secrets) {
	r.Secret, r.PreviousSecret, r.PrivateKey = s.Secret, s.Previous, s.PrivateKey
	if r.Authorization != nil {
		r.Authorization.Credential = s.Credential
	}
}

func (r *webhook) clientCertificate() *delivery.ClientCertificate {
	if r.Certificate == "" {
		return nil
	}
	return &delivery.ClientCertificate{Certificate: r.Certificate, PrivateKey: r.PrivateKey}
}

// clear are the secrets that are in clear.
func (r *webhook) clear() (s secrets) {
	s.Secret, s.Previous, s.PrivateKey = r.Secret, r.PreviousSecret, r.PrivateKey
	if r.Authorization != nil {
		s.Credential = r.Authorization.Credential
	}
	return s
}

// EncodeWebhook encodes a webhook, without its tenant and id. Its secrets are encrypted if there
// is a key.
func EncodeWebhook(w *delivery.Webhook, keys *encryption.Keyring) []byte {
	r := webhook{
		URL: w.URL, Description: w.Description, Enabled: w.Enabled, EventTypes: w.EventTypes,
		CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, DisabledAt: w.DisabledAt,
		Headers: w.Headers, Timeout: w.Timeout, Metadata: w.Metadata,
		Filter: w.Filter, Transform: w.Transform, OrderBy: w.OrderBy,
		Retry: (*retry)(w.Retry), Concurrency: w.Concurrency, DisabledReason: w.DisabledReason,
		RateLimit:       (*rateLimit)(w.RateLimit),
		SecretChangedAt: w.SecretChangedAt, PreviousSecretUntil: w.PreviousSecretUntil,
		Declared: w.Declared,
	}
	if w.Authorization != nil {
		copied := authorization(*w.Authorization)
		r.Authorization = &copied
	}
	r.Secret, r.PreviousSecret = w.Secret, w.PreviousSecret
	if c := w.ClientCertificate; c != nil {
		r.Certificate, r.PrivateKey = c.Certificate, c.PrivateKey
	}
	if hidden := r.clear(); keys != nil {
		r.put(secrets{})
		if hidden != (secrets{}) {
			r.Encrypted = keys.Encrypt(nil, placeOf(w.Ref()), encode(hidden))
		}
	}
	return encode(r)
}

// placeOf is where the secrets of a webhook belong.
func placeOf(w delivery.WebhookRef) encryption.Place {
	return encryption.Place{Kind: encryption.Secret, Tenant: w.Tenant, ID: w.ID}
}

// DecodeWebhook decodes a webhook, and opens its secrets. If their key is missing, it returns
// the webhook without them beside that error. It does not retain b.
func DecodeWebhook(b []byte, of delivery.WebhookRef, keys *encryption.Keyring) (*delivery.Webhook, error) {
	var r webhook
	if err := decode(b, &r); err != nil {
		return nil, err
	}
	var missing error
	if r.Encrypted != nil {
		hidden, err := decryptSecrets(r.Encrypted, of, keys)
		if err != nil && !encryption.IsMissingKey(err) {
			return nil, err
		}
		r.put(hidden)
		missing = err
	}
	return &delivery.Webhook{
		Tenant: of.Tenant, ID: of.ID,
		URL: r.URL, Secret: r.Secret, Description: r.Description,
		Enabled: r.Enabled, EventTypes: r.EventTypes,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), DisabledAt: r.DisabledAt.UTC(),
		Headers: r.Headers, Timeout: r.Timeout, Metadata: r.Metadata,
		Filter: r.Filter, Transform: r.Transform, OrderBy: r.OrderBy,
		Retry: (*delivery.Retry)(r.Retry), Concurrency: r.Concurrency, DisabledReason: r.DisabledReason,
		RateLimit:     (*delivery.RateLimit)(r.RateLimit),
		Authorization: (*delivery.Authorization)(r.Authorization), ClientCertificate: r.clientCertificate(),
		SecretChangedAt: r.SecretChangedAt.UTC(), PreviousSecret: r.PreviousSecret, PreviousSecretUntil: r.PreviousSecretUntil.UTC(),
		Declared: r.Declared,
	}, missing
}

// decryptSecrets opens the secrets of a webhook. Without them it must not be sent anything.
func decryptSecrets(encrypted []byte, of delivery.WebhookRef, keys *encryption.Keyring) (hidden secrets, err error) {
	if _, ok := encryption.EncryptedBy(encrypted); !ok {
		return hidden, ErrUnreadable
	}
	plain, err := keys.DecryptOnce(placeOf(of), encrypted)
	switch {
	case encryption.IsMissingKey(err):
		return hidden, err
	case err != nil:
		return hidden, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return hidden, decode(plain, &hidden)
}

// IsAsConfigured reports whether all secrets of a webhook are encrypted with the first key or,
// without keys, in clear.
func IsAsConfigured(b []byte, keys *encryption.Keyring) bool {
	var r webhook
	if decode(b, &r) != nil {
		return true // there is nothing to be done about it here
	}
	by, encrypted := encryption.EncryptedBy(r.Encrypted)
	if keys == nil {
		return !encrypted
	}
	return r.clear() == secrets{} && (!encrypted || by == keys.First())
}

// Event is an event without its tenant, its id and when it was received.
type Event struct {
	Type       string
	OccurredAt time.Time
	Test       bool
	// Targets names its webhooks, in the store's own format.
	Targets []byte
	Payload []byte
	// Headless says that Payload lacks what precedes the data in an envelope.
	Headless bool
	// Erased says that Payload is gone.
	Erased bool
}

// event is an array of its fields: see AppendEvent.
type event struct {
	_       struct{} `cbor:",toarray"`
	Version int
	Type    string
	Seconds int64 // when it occurred
	Nanos   int
	Test    bool
	Targets []byte
	Payload []byte
}

// AppendEvent appends an event's record to b.
func AppendEvent(b []byte, e *Event) []byte {
	b = appendArray(b, 7)
	switch {
	case e.Erased:
		b = appendInt(b, erasedVersion)
	case e.Headless:
		b = appendInt(b, headlessVersion)
	default:
		b = appendInt(b, version)
	}
	b = appendText(b, e.Type)
	b = appendInt(b, e.OccurredAt.Unix())
	b = appendInt(b, int64(e.OccurredAt.Nanosecond()))
	b = appendBool(b, e.Test)
	b = appendBytes(b, e.Targets)
	return appendBytes(b, e.Payload)
}

// DecodeEvent decodes an event. It does not retain b.
func DecodeEvent(b []byte) (*Event, error) {
	var r event
	if err := decode(b, &r); err != nil {
		return nil, err
	}
	return &Event{
		Type: r.Type, OccurredAt: time.Unix(r.Seconds, int64(r.Nanos)).UTC(),
		Test: r.Test, Targets: r.Targets, Payload: r.Payload, Headless: r.Version == headlessVersion,
		Erased: r.Version == erasedVersion,
	}, nil
}

// request is an array of its fields: see AppendRequest.
type request struct {
	_           struct{} `cbor:",toarray"`
	Version     int
	Type        string
	Seconds     int64 // when the event occurred
	Nanos       int
	Trigger     delivery.Trigger
	Attempt     int
	MaxAttempts int
	StatusCode  int
	URL         string
	Error       string
	Duration    int64 // microseconds
	Truncated   bool
	// Of delivery.RequestHeaders:
	UserAgent       string
	SignatureHeader string
	Standard        bool
}

// requestSize is the number of elements of a request.
const requestSize = 15

// oldRequest begins a row from before headers were stored, which has fewer elements.
var oldRequest = appendArray(nil, 12)

// Nearly all requests have the same headers, which are stored as usual, a text that is no
// valid header. Since rows have it, these values must stay, even if the defaults change.
const (
	usualAgent     = "Caddy-Webhooks"
	usualSignature = "X-Level-Signature"
	usual          = "\x01"
)

func shorten(text, often string) string {
	if text == often {
		return usual
	}
	return text
}

func lengthen(text, often string) string {
	if text == usual {
		return often
	}
	return text
}

// AppendRequest appends the record of a row of the log to b, without the row's tenant, ids,
// status, next attempt and bodies.
func AppendRequest(b []byte, r *delivery.Request) []byte {
	b = appendArray(b, requestSize)
	b = appendInt(b, requestVersion(r))
	b = appendText(b, r.EventType)
	b = appendInt(b, r.OccurredAt.Unix())
	b = appendInt(b, int64(r.OccurredAt.Nanosecond()))
	b = appendText(b, string(r.Trigger))
	b = appendInt(b, int64(r.Attempt))
	b = appendInt(b, int64(r.MaxAttempts))
	b = appendInt(b, int64(r.StatusCode))
	b = appendText(b, r.URL)
	b = appendText(b, r.Error)
	b = appendInt(b, r.Duration.Microseconds())
	b = appendBool(b, r.ResponseTruncated)
	b = appendText(b, shorten(r.Headers.UserAgent, usualAgent))
	b = appendText(b, shorten(r.Headers.SignatureHeader, usualSignature))
	return appendBool(b, r.Headers.StandardWebhooks)
}

func requestVersion(r *delivery.Request) int64 {
	bits := 0
	if r.Transformed {
		bits |= transformedBit
	}
	if r.Headers.Previous {
		bits |= previousBit
	}
	return int64(version + bits)
}

// DecodeRequest decodes a row of the log. The caller must fill in what AppendRequest leaves
// out. It does not retain b.
func DecodeRequest(b []byte) (delivery.Request, error) {
	if rest, old := bytes.CutPrefix(b, oldRequest); old {
		b = slices.Concat(appendArray(nil, requestSize), rest)
		b = appendBool(appendText(appendText(b, ""), ""), false)
	}
	var r request
	if err := decode(b, &r); err != nil {
		return delivery.Request{}, err
	}
	return delivery.Request{
		EventType:   r.Type,
		OccurredAt:  time.Unix(r.Seconds, int64(r.Nanos)).UTC(),
		Trigger:     r.Trigger,
		Attempt:     r.Attempt,
		MaxAttempts: r.MaxAttempts,
		StatusCode:  r.StatusCode,
		URL:         r.URL,
		Error:       r.Error,
		Duration:    time.Duration(r.Duration) * time.Microsecond,
		Headers: delivery.RequestHeaders{
			UserAgent: lengthen(r.UserAgent, usualAgent), SignatureHeader: lengthen(r.SignatureHeader, usualSignature),
			StandardWebhooks: r.Standard, Previous: (r.Version-version)&previousBit != 0,
		},

		ResponseTruncated: r.Truncated,
		Transformed:       (r.Version-version)&transformedBit != 0,
	}, nil
}
