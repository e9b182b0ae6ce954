package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-webhooks/caddy-webhooks/api"
)

func init() {
	caddy.RegisterModule(new(Emit))
}

// Emit emits an event when what comes after it has answered a request: an application that
// knows nothing of webhooks is made to send them by the traffic that passes. The answer goes on
// as it would without, and is copied as it goes by.
//
// The events are those of the app `webhooks` in the same configuration, by the same rules as
// events that applications emit by the API.
type Emit struct {
	// The type of the events, one of those that the app has. It can contain global
	// placeholders such as `{env.X}`. Needed unless there is `from_header`.
	EventType string `json:"event_type,omitempty"`

	// The response header in which the application names the type of an event, in place of
	// `event_type`; an answer without it is no event. A header with `-Id` behind that name can
	// have the event's id. Clients see neither of them. Default: none. The Caddyfile's is
	// `Webhook-Event`.
	FromHeader string `json:"from_header,omitempty"`

	// The statuses of answers that are events: such as `201`, or `2xx` for all that begin
	// with 2. Default: `2xx`.
	On []string `json:"on,omitempty"`

	// What the data of an event are: `response` or `request` for the body of either, or a
	// text with placeholders. These are Caddy's, `{http.response.header.*}`,
	// `{http.response.status}` and `{http.request.body.*}`, where `*` is a path into the JSON
	// of the request, such as `device.ids.0`; what they give is escaped as in a JSON string. A
	// body or text that is no JSON object becomes `{"body": <text>}`, an empty one `{}`; one
	// that is encoded (gzip, zstd, br) is decoded before. Default: `response`.
	Data string `json:"data,omitempty"`

	// The id of an event, a text with the same placeholders. Events of a tenant with the same
	// id are one: so a request that a client repeats is no second event. A text that is no UUID
	// becomes the UUID of version 5 of `<tenant>/<text>` in the namespace of URLs, and an empty
	// one a new id. Default: a new id for each event.
	ID string `json:"id,omitempty"`

	// The tenant of an event, a text with the same placeholders. Default: `default`.
	Tenant string `json:"tenant,omitempty"`

	// Whether the client's answer waits until the event is stored. If it cannot be, the client
	// gets 502 instead, though the application has done its work: set `id`, so that the client
	// can repeat the request. An answer that is the event's data is kept in memory until then.
	// Default: false, the client waits for nothing.
	Strict bool `json:"strict,omitempty"`

	// How many bytes a body may have that is read for an event, 1 to 16 MiB, also when it is
	// decoded. A larger one passes, and there is no event. Default: 1 MiB.
	MaxSize int64 `json:"max_size,omitempty"`

	app        *App
	eventType  string
	ownHeaders [4]string // of type and id, also as trailers; they are for us alone
	on         statuses
	data       emitText // unless ofResponse or ofRequest
	id         emitText
	tenant     emitText
	// What the data are, and whether the body of requests is needed for anything.
	ofResponse, ofRequest, readsRequest bool
}

const (
	dataResponse, dataRequest = "response", "request"

	defaultEmitHeader = "Webhook-Event"
	emitIDSuffix      = "-Id"
	defaultEmitSize   = 1 << 20
)

// CaddyModule returns the Caddy module information.
func (*Emit) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.webhooks_emit",
		New: func() caddy.Module { return new(Emit) },
	}
}

// Provision resolves and checks the configuration and finds the app.
func (e *Emit) Provision(ctx caddy.Context) error {
	if err := e.resolve(caddy.NewReplacer()); err != nil {
		return fmt.Errorf("webhooks_emit: %w", err)
	}
	app, err := appOf(ctx)
	e.app = app
	return err
}

// Validate checks the event type against those of the app.
func (e *Emit) Validate() error {
	if e.FromHeader != "" {
		return nil
	}
	switch err := e.app.types.CheckType(e.eventType); {
	case errors.Is(err, api.ErrUnknownEventType):
		return fmt.Errorf("webhooks_emit: the event type '%s' is not configured: add it to event_types in the global webhooks block", e.eventType)
	case err != nil:
		return fmt.Errorf("webhooks_emit: %w", err)
	default:
		return nil
	}
}

// resolve replaces global placeholders and checks what was configured.
func (e *Emit) resolve(repl *caddy.Replacer) error {
	var err error
	if err := e.check(); err != nil {
		return err
	}
	if e.EventType != "" {
		if e.eventType, err = resolve(repl, e.EventType); err != nil {
			return fmt.Errorf("the event type %w", err)
		}
	}
	if e.MaxSize == 0 {
		e.MaxSize = defaultEmitSize
	}
	if e.Data == "" {
		e.Data = dataResponse
	}
	e.FromHeader = http.CanonicalHeaderKey(e.FromHeader)
	ownID := http.CanonicalHeaderKey(e.FromHeader + emitIDSuffix)
	e.ownHeaders = [...]string{e.FromHeader, ownID, http.TrailerPrefix + e.FromHeader, http.TrailerPrefix + ownID}
	e.ofResponse, e.ofRequest = e.Data == dataResponse, e.Data == dataRequest
	if !e.ofResponse && !e.ofRequest {
		if e.data, err = newEmitText(repl, e.Data); err != nil {
			return fmt.Errorf("data %w", err)
		}
		if err := e.data.checkJSON(); err != nil {
			return err
		}
	}
	if e.id, err = newEmitText(repl, e.ID); err != nil {
		return fmt.Errorf("id %w", err)
	}
	if e.Tenant == "" {
		e.Tenant = api.DefaultTenant
	}
	if e.tenant, err = newEmitText(repl, e.Tenant); err != nil {
		return fmt.Errorf("tenant %w", err)
	}
	if text := e.tenant.literals(); text != "" && !api.ValidTenant(text) {
		return errTenant
	}
	e.readsRequest = e.ofRequest || e.data.readsRequest() || e.id.readsRequest() || e.tenant.readsRequest()
	return nil
}

// check checks what needs nothing replaced.
func (e *Emit) check() (err error) {
	switch {
	case e.EventType == "" && e.FromHeader == "":
		return errors.New("an event type is missing: name one that is configured, or use from_header")
	case e.EventType != "" && e.FromHeader != "":
		return errors.New("there is an event type beside from_header: choose one of them")
	case e.FromHeader != "" && !httpguts.ValidHeaderFieldName(e.FromHeader):
		return errors.New("from_header must be the name of an HTTP header: letters, digits and hyphens, such as Webhook-Event")
	case e.FromHeader != "" && hasMeaningInResponses(e.FromHeader):
		return fmt.Errorf("from_header must not be %s, which means something else in a response: choose a name of your own, such as X-Example-Event", e.FromHeader)
	case e.MaxSize < 0 || e.MaxSize > api.MaxArraySize:
		return fmt.Errorf("max_size must be 1 to %d bytes, not %d", api.MaxArraySize, e.MaxSize)
	}
	e.on, err = newStatuses(e.On)
	return err
}

// hasMeaningInResponses says whether a header already means something in a response, so that
// it cannot be taken out. The names that may be given are an application's own.
func hasMeaningInResponses(name string) bool {
	name = http.CanonicalHeaderKey(name)
	if !strings.HasPrefix(name, "Webhook-") && hasMeaningInRequests(name) {
		return true
	}
	switch name {
	case "Age", "Allow", "Alt-Svc", "Etag", "Expires", "Last-Modified", "Location", "Refresh", "Retry-After",
		"Server", "Set-Cookie", "Strict-Transport-Security", "Timing-Allow-Origin", "Vary", "Www-Authenticate":
		return true
	default:
		return false
	}
}

// ServeHTTP lets the next handler answer, and emits the event once it has.
func (e *Emit) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	answer := newEmitWriter(e, w, r)
	defer answer.ended()
	return answer.end(next.ServeHTTP(answer, r))
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Emit)(nil)
	_ caddy.Validator             = (*Emit)(nil)
	_ caddyhttp.MiddlewareHandler = (*Emit)(nil)
)
