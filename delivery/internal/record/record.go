// Package record is how stores write webhooks, events and requests: CBOR (RFC 8949).
// What a later version adds to a webhook does not matter to this one. Events and
// requests are arrays, of which a version reads its own and those of earlier ones.
package record

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Arrays begin with the version of their layout; elements are only added at the end.
const version = 1

// Overhead is ample for what a record has beside its texts and its payload.
const Overhead = 80

// ErrUnreadable says that what is stored is no record.
var ErrUnreadable = errors.New("a record in the store cannot be read")

var encoder = func() cbor.EncMode {
	mode, err := cbor.EncOptions{Time: cbor.TimeRFC3339NanoUTC}.EncMode()
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}()

// decoder takes texts as they come: one bad byte in an error message of somebody
// else's must not hide a row.
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
}

// EncodeWebhook makes a webhook's record, without its tenant and id.
func EncodeWebhook(w *delivery.Webhook) []byte {
	return encode(webhook{w.URL, w.Secret, w.Description, w.Enabled, w.EventTypes, w.CreatedAt, w.UpdatedAt, w.DisabledAt})
}

// DecodeWebhook reads a webhook; its tenant and id are the caller's to fill in.
func DecodeWebhook(b []byte) (*delivery.Webhook, error) {
	var r webhook
	if err := decode(b, &r); err != nil {
		return nil, err
	}
	return &delivery.Webhook{
		URL: r.URL, Secret: r.Secret, Description: r.Description,
		Enabled: r.Enabled, EventTypes: r.EventTypes,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), DisabledAt: r.DisabledAt.UTC(),
	}, nil
}

// Event is an event without its tenant, its id and when it was received.
type Event struct {
	Type       string
	OccurredAt time.Time
	Test       bool
	// Targets names its webhooks, in a form of the store's own.
	Targets []byte
	Payload []byte
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

// AppendEvent makes an event's record behind what b has.
func AppendEvent(b []byte, e *Event) []byte {
	b = appendArray(b, 7)
	b = appendInt(b, version)
	b = appendText(b, e.Type)
	b = appendInt(b, e.OccurredAt.Unix())
	b = appendInt(b, int64(e.OccurredAt.Nanosecond()))
	b = appendBool(b, e.Test)
	b = appendBytes(b, e.Targets)
	return appendBytes(b, e.Payload)
}

// DecodeEvent reads an event. It keeps nothing of b.
func DecodeEvent(b []byte) (*Event, error) {
	var r event
	if err := decode(b, &r); err != nil {
		return nil, err
	}
	return &Event{
		Type: r.Type, OccurredAt: time.Unix(r.Seconds, int64(r.Nanos)).UTC(),
		Test: r.Test, Targets: r.Targets, Payload: r.Payload,
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

// requestSize is how many elements that has.
const requestSize = 15

// oldRequest begins a row of before the head was kept, which has fewer.
var oldRequest = appendArray(nil, 12)

// What the head of nearly every request has is written as usual, which neither can be.
// As rows have it so, these stay, whatever the defaults become.
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

// AppendRequest makes the record of a row of the log behind what b has, without its
// tenant, its ids, its status, its next attempt and its bodies.
func AppendRequest(b []byte, r *delivery.Request) []byte {
	b = appendArray(b, requestSize)
	b = appendInt(b, version)
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

// DecodeRequest reads a row of the log; what AppendRequest leaves out is the
// caller's to fill in. It keeps nothing of b.
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
			StandardWebhooks: r.Standard,
		},

		ResponseTruncated: r.Truncated,
	}, nil
}
