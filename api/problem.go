package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// outcomeUnknown is the type of a problem after which the call may have done its work. It
// is where people read what to do.
const outcomeUnknown = "https://github.com/caddy-webhooks/caddy-webhooks/blob/main/docs/operations.md#outcome-unknown"

// problem is a response that says what went wrong (RFC 9457).
type problem struct {
	Type   string       `json:"type"` // empty for one that its status says all about
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Errors []fieldError `json:"errors"`

	retryAfter time.Duration // 0 for no Retry-After
	forAdmins  bool          // an admin token would do
	limit      limit         // what a call was refused for with 429
}

// fieldError is one thing that is wrong with one member of the body or one
// parameter of the query. The path to a member has dots: event_types.0, or
// 3.event_id for the fourth event of an array.
type fieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string { return p.Detail }

// How long a caller waits before it tries again.
const (
	busyRetry        = time.Second
	unavailableRetry = 5 * time.Second
)

func unavailable(detail string) *problem {
	return &problem{Status: http.StatusServiceUnavailable, Detail: detail, retryAfter: unavailableRetry}
}

// invalid is JSON that is not valid here.
func invalid(errs ...fieldError) *problem {
	return &problem{Status: http.StatusUnprocessableEntity, Detail: "The body is not valid; see errors.", Errors: errs}
}

// missing is an id that is not there.
func missing(what string) *problem {
	return &problem{Status: http.StatusNotFound, Detail: "There is no " + what + " with this id."}
}

// engineProblem turns an error of the engine into a problem. What is inside, such
// as the store's address, is for the log and not for the caller.
func (a *API) engineProblem(c *call, method string, err error) *problem {
	if of, ok := errors.AsType[*delivery.InvalidWebhookError](err); ok {
		return invalid(fieldError{of.Member, sentence(errors.New(of.Reason))})
	}
	switch {
	case errors.Is(err, delivery.ErrNotFound):
		return &problem{Status: http.StatusNotFound, Detail: "There is nothing with this id."}
	case errors.Is(err, delivery.ErrWebhookDisabled):
		return &problem{Status: http.StatusConflict, Detail: "The webhook is disabled: enable it first."}
	case errors.Is(err, delivery.ErrDeclared):
		return &problem{Status: http.StatusConflict, Detail: "The server's configuration made this webhook, and it alone changes it: change it there."}
	case errors.Is(err, delivery.ErrDeliveryEnded):
		return &problem{Status: http.StatusConflict, Detail: "The delivery is not pending any more: it has succeeded, failed or been canceled."}
	case errors.Is(err, delivery.ErrReplayRunning):
		return &problem{Status: http.StatusConflict, Detail: "Another replay is running, and there is one at a time: wait until it has ended, or cancel it."}
	case errors.Is(err, delivery.ErrInFlight):
		return &problem{Status: http.StatusConflict, Detail: "A request of this delivery is in flight. Try again when it has ended."}
	case errors.Is(err, delivery.ErrInOrder):
		return &problem{Status: http.StatusConflict, Detail: "This delivery waits for others of its webhook that go before it (order_by). It is sent when they have succeeded or failed for good: send or cancel those first."}
	case errors.Is(err, delivery.ErrEventGone):
		return &problem{Status: http.StatusConflict, Detail: "The event of this request is no longer kept, so it cannot be sent again."}
	case errors.Is(err, delivery.ErrTooManyWebhooks):
		return &problem{Status: http.StatusConflict, Detail: "This tenant already has " + strconv.Itoa(a.Engine.TenantWebhooks()) + " webhooks, the most that are allowed: delete one first."}
	case errors.Is(err, delivery.ErrConflict):
		return &problem{Status: http.StatusConflict, Detail: "Another change was being made at the same time. Try again."}
	case errors.Is(err, delivery.ErrTooManyDeliveries):
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: "These events would make more than " + strconv.Itoa(delivery.MaxDeliveries) + " deliveries: emit fewer in one call."}
	case errors.Is(err, delivery.ErrFiltersTooCostly):
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: "The filters of the webhooks that want these events take too long together: emit fewer events in one call, or have an admin make the filters simpler."}
	case errors.Is(err, delivery.ErrTooManyEventTypes):
		return &problem{Status: http.StatusUnprocessableEntity, Detail: "With this call, the log of this tenant would have more than " + strconv.Itoa(delivery.MaxEventTypes) + " event types, the most that are allowed: use types that it has. One that is no longer used makes room when the log has forgotten it."}
	case errors.Is(err, delivery.ErrOrdersTooCostly):
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: "The filters and order_by of the webhooks that want these events take too long together: emit fewer events in one call, or have an admin make them simpler."}
	case errors.Is(err, delivery.ErrBusy):
		return &problem{Status: http.StatusTooManyRequests, Detail: "Too many calls of this kind are in progress. Try again in a moment.", retryAfter: busyRetry, limit: c.limit}
	case errors.Is(err, delivery.ErrFull):
		a.Log.Debug("call refused", zap.Error(err))
		return unavailable("The store is full.")
	case errors.Is(err, delivery.ErrUnavailable):
		a.Log.Debug("call refused", zap.Error(err))
		return unavailable("The store cannot be reached, or does not work now.")
	default:
		a.logFailure(method, err)
		return c.unanswered(method)
	}
}

// unanswered is for a call of whose outcome the store has said nothing.
func (c *call) unanswered(method string) *problem {
	var p *problem
	switch {
	case method == http.MethodGet || method == http.MethodHead:
		return unavailable("The store did not answer, or not as it should; Caddy's log says more. Try again in a moment.")
	case c.events > 0:
		p = unavailable("The store did not say whether it stored the events: they may have been stored. Repeat the call with the same event_id for each: what is stored already counts as a duplicate.")
	default:
		p = unavailable("The store did not say whether it did what was asked: it may have been done. Look before you repeat the call.")
	}
	p.Type, p.Title = outcomeUnknown, "Outcome unknown"
	return p
}

// logFailure logs a call that failed, once a minute at most: health, metrics and the log say
// it if everything fails.
func (a *API) logFailure(method string, err error) {
	log := a.Log.Debug
	last, now := a.failed.Load(), time.Now()
	if (last == nil || now.Sub(*last) >= time.Minute) && a.failed.CompareAndSwap(last, &now) {
		log = a.Log.Error
	}
	log("call failed", zap.String("method", method), zap.Error(err))
}

// write answers with the problem: in JSON, unless people asked for the page.
func (p *problem) write(w http.ResponseWriter, r *http.Request) error {
	if asksForPage(r) {
		w.Header().Set("Vary", "Accept")
		if prefersHTML(r.Header) {
			p.setRetryAfter(w)
			p.page().ServeHTTP(w, r)
			return nil
		}
	}
	return p.writeJSON(w)
}

func (p *problem) setRetryAfter(w http.ResponseWriter) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.retryAfter.Seconds())))
	}
}

// writeJSON answers with the problem in JSON.
func (p *problem) writeJSON(w http.ResponseWriter) error {
	p.setRetryAfter(w)
	filled := *p
	if p.Type == "" {
		filled.Type, filled.Title = "about:blank", http.StatusText(p.Status)
	}
	return writeJSON(w, p.Status, "application/problem+json", &filled)
}
