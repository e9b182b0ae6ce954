package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Errors of CheckEvent, and of Emit.
var (
	// ErrEventTooLarge: the event is larger than one may be.
	ErrEventTooLarge = errors.New("the event is larger than max_event_size")
	// ErrUnknownEventType: the event's type is not configured.
	ErrUnknownEventType = errors.New("its event type is not configured")
	// ErrEventLimit: the tenant has emitted as many events as it may in a time.
	ErrEventLimit = errors.New("its tenant has emitted as many events as it may in this time")
)

// CheckType says what keeps events from having the type.
func (t *EventTypes) CheckType(name string) error {
	if _, ok := t.find([]byte(name)); ok {
		return nil
	}
	if t.any {
		return t.checkAny(name)
	}
	return ErrUnknownEventType
}

// CheckEvent says what keeps an event that was made in this process from being emitted, by
// the rules of POST /api/events; whether its type is one of those that are configured, CheckType
// says. Its data must be a JSON object.
func (a *API) CheckEvent(ctx context.Context, tenant string, ev *delivery.NewEvent) error {
	if !ValidTenant(tenant) {
		return errors.New("its tenant must have 1 to 128 characters, each of A-Z, a-z, 0-9, '.', '_' or '-'")
	}
	if err := checkEventType(ev.Type); err != nil {
		return err
	}
	if int64(len(ev.Data)) > a.MaxEventSize {
		return ErrEventTooLarge
	}
	var errs fieldErrors
	if err := a.EventTypes.checkSchema(ctx, a.Engine, tenant, ev, &errs); err != nil {
		return err
	}
	if len(errs.errs) > 0 {
		return errors.New(errs.errs[0].Field + " does not fit the schema of its event type: " + errs.errs[0].Detail)
	}
	return nil
}

// Emit emits events for which CheckEvent has found nothing, all or none, by the limits of
// POST /api/events. When it returns an error, later says after how long it may be tried again
// with the same events; 0 if that is in vain.
func (a *API) Emit(ctx context.Context, tenant string, events []delivery.NewEvent) (later time.Duration, err error) {
	c := &call{Caller: Caller{Role: Emitter, Tenant: tenant}, api: a, answer: make(http.Header)}
	if err := c.mayStore(ctx); err != nil {
		return emitAgain(err), err
	}
	if err := c.mayEmit(len(events), true); err != nil {
		return emitAgain(err), ErrEventLimit
	}
	if _, err := a.Engine.Emit(ctx, tenant, events); err != nil {
		c.takeBack(len(events), err)
		return emitAgain(err), err
	}
	return 0, nil
}

// emitAgain is after how long an emit may be tried again that has failed; 0 for never.
func emitAgain(err error) time.Duration {
	if p, ok := errors.AsType[*problem](err); ok {
		if p.limit == limitStored {
			return 0 // for as long as the retention, maybe
		}
		return p.retryAfter
	}
	for _, final := range []error{delivery.ErrTooManyDeliveries, delivery.ErrFiltersTooCostly, delivery.ErrTooManyEventTypes} {
		if errors.Is(err, final) {
			return 0
		}
	}
	return busyRetry
}

// AsData is the JSON object that a text is, without the white space around it; ok is false if
// it is none. It must be as the data of an event in POST /api/events: UTF-8, and no member
// twice.
func AsData(text []byte) (data []byte, ok bool) {
	text = bytes.Trim(text, jsonSpace)
	if len(text) == 0 || text[0] != '{' {
		return nil, false
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text))
	value, err := dec.ReadValue()
	return text, err == nil && len(value) == len(text)
}

// BodyAsData wraps a text that is no JSON object. What is not UTF-8 becomes U+FFFD.
func BodyAsData(text []byte) []byte {
	data := make([]byte, 0, len(text)+len(text)/8+16)
	data = append(data, `{"body":`...)
	data, _ = jsontext.AppendQuote(data, strings.ToValidUTF8(string(text), "\uFFFD")) // which cannot fail then
	return append(data, '}')
}

// NotStored refuses a request whose answer had to wait for an event that could not be stored.
func NotStored(w http.ResponseWriter, detail string) error {
	setCommonHeaders(w)
	const status = http.StatusBadGateway
	return writeJSON(w, status, "application/problem+json", &problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail,
	})
}
