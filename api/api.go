// Package api is the HTTP API of webhooks and the page for admins. It answers from an
// engine, for callers whose role and tenant somebody else has found out, and knows
// nothing of Caddy.
package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Backend is what an API works with. All of it must be set, but for Signing, Limits,
// EventRate, Intake, Audit, EventsRefused, OtherHealth and Throttled.
type Backend struct {
	Engine       *delivery.Engine
	EventTypes   *EventTypes
	Settings     *delivery.Settings // say what a webhook may be
	MaxEventSize int64              // in bytes, at most MaxArraySize
	InForce      context.Context    // ends when this configuration is replaced
	Log          *zap.Logger
	Signing      Signing
	Limits       TenantLimits
	EventRate    *EventRate // default: one for this API alone
	Intake       *Intake    // default: one for this API alone
	// Audit says that changes go to the audit log, and that it can be read.
	Audit bool
	// EventsRefused is told how many events were refused, and with which status.
	EventsRefused func(n, status int)
	// OtherHealth says what does not work beside the engine; nil if there is nothing else.
	OtherHealth func() error
	// Throttled is told, for each call that is answered with 429, which of Limits it was
	// refused for.
	Throttled func(limit string)
}

// Caller is who makes a call, about whose data, and from where.
type Caller struct {
	Role   Role
	Tenant string // refused if it is none
	// Refusal is why the caller has no role; nil if no token was shown, or a wrong one.
	Refusal *Refusal
	// By names the credential or the person, and Address the client's address. Both are
	// for the audit log, and empty unless there is one and the call may change something.
	By, Address string
	// URL is the request's as the client sent it, before the path to the API was
	// taken off; nil if that is not known.
	URL *url.URL
	// Serving ends when the server begins to shut down, which waits for all calls.
	Serving context.Context
}

// API serves calls. It is safe for concurrent use.
type API struct {
	Backend
	openapi func() (jsontext.Value, error) // the document without servers
	failed  atomic.Pointer[time.Time]      // when the log was last told of a call that failed

	throttling throttleLog
}

// New makes an API. It does no I/O and starts nothing.
func New(b Backend) *API {
	if b.EventRate == nil {
		b.EventRate = NewEventRate()
	}
	if b.Intake == nil {
		b.Intake = NewIntake()
	}
	return &API{Backend: b, openapi: newOpenAPI(b.EventTypes, b.Signing)}
}

// Serve answers a request, whose path is relative to the API.
func (a *API) Serve(w http.ResponseWriter, r *http.Request, by Caller) error {
	setCommonHeaders(w)
	c := &call{Caller: by, api: a, header: r.Header, answer: w.Header(), unread: r.ContentLength != 0}
	res, err := c.serve(w, r)
	if err == nil {
		return res.write(w, r)
	}
	var p *problem
	if !errors.As(err, &p) {
		if r.Context().Err() != nil {
			// The caller went away, at least as far as sending goes. Whoever still
			// reads must not be told a success, which an empty response would be.
			panic(http.ErrAbortHandler)
		}
		p = a.engineProblem(c, r.Method, err)
	}
	if c.events > 0 && a.EventsRefused != nil {
		a.EventsRefused(c.events, p.Status)
	}
	if p.limit != noLimit {
		a.throttled(c.Tenant, p.limit)
	}
	if c.unread {
		hurryRest(w)
	}
	return p.write(w, r)
}

// Unavailable refuses a request that no API can serve now.
func Unavailable(w http.ResponseWriter, r *http.Request, detail string) error {
	setCommonHeaders(w)
	return unavailable(detail).write(w, r)
}

func setCommonHeaders(w http.ResponseWriter) {
	setHeaders(w.Header(), "Cache-Control", "no-store", "X-Content-Type-Options", "nosniff")
}

// call is one request to the API, as operations see it.
type call struct {
	Caller
	api     *API
	ids     []string // the path's variable parts
	header  http.Header
	answer  http.Header
	query   url.Values
	body    []byte   // nil for none
	scratch *scratch // what emitEvents works with, nil for other operations
	room    int64    // bytes of the intake that its body has
	unread  bool     // there may be a body that was not read
	limit   limit    // of the engine, that calls of this kind have
	// events is how many events the call emits: 1 until they are read, and 0 if it
	// is for another operation.
	events int
}

// id parses the id in the path.
func (c *call) id() (uuid.UUID, bool) { return parseID(c.ids[0]) }

// serve does the steps that all calls share, in the order in which the contract
// has their errors, and then the operation.
func (c *call) serve(w http.ResponseWriter, r *http.Request) (response, error) {
	route, ids := findRoute(r.URL.Path)
	if route == nil {
		return response{}, c.notFound(r.URL.Path)
	}
	op, ok := route.operation(r.Method)
	if !ok {
		w.Header().Set("Allow", route.allow)
		return response{}, &problem{Status: http.StatusMethodNotAllowed, Detail: "This path accepts only " + route.allow + "."}
	}
	if op.body == eventsBody {
		c.events = 1
	}
	if err := crossOrigin.Check(r); err != nil {
		return response{}, &problem{Status: http.StatusForbidden, Detail: "Pages of other origins may not change anything here: call the API from its own origin, or from outside a browser."}
	}
	if !c.Role.may(op) {
		return response{}, c.refuse(w, op)
	}
	c.ids, c.limit = ids, op.limit
	var buffer []byte
	if op.body == eventsBody {
		c.scratch = takeScratch()
		defer c.scratch.giveBack()
		buffer = c.scratch.body
	}
	var err error
	if op.body == eventsBody {
		if err := c.mayEmit(1, false); err != nil {
			return response{}, err // before a body is read
		}
	}
	if op.limit == limitEmits || op.limit == limitSends {
		if err := c.mayStore(r.Context()); err != nil {
			return response{}, err
		}
	}
	defer c.leaveRoom()
	if c.body, err = c.readBody(w, r, op.body, buffer); err != nil {
		return response{}, err
	}
	if c.query, err = parseQuery(r.URL.RawQuery, op.query); err != nil {
		return response{}, err
	}
	if !op.anyTenant {
		if err := checkTenant(c.Tenant); err != nil {
			return response{}, err
		}
	}
	return op.serve(r.Context(), c)
}
