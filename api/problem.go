package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// problem is a response that says what went wrong (RFC 9457).
type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail"`
	Errors []fieldError `json:"errors"`

	retryAfter time.Duration // 0 for no Retry-After
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
func (a *API) engineProblem(err error) *problem {
	switch {
	case errors.Is(err, delivery.ErrNotFound):
		return &problem{Status: http.StatusNotFound, Detail: "There is nothing with this id."}
	case errors.Is(err, delivery.ErrWebhookDisabled):
		return &problem{Status: http.StatusConflict, Detail: "The webhook is disabled: enable it first."}
	case errors.Is(err, delivery.ErrEventGone):
		return &problem{Status: http.StatusConflict, Detail: "The event of this request is no longer kept, so it cannot be sent again."}
	case errors.Is(err, delivery.ErrTooManyWebhooks):
		return &problem{Status: http.StatusConflict, Detail: "This tenant already has " + strconv.Itoa(delivery.MaxWebhooks) + " webhooks, the most that are allowed: delete one first."}
	case errors.Is(err, delivery.ErrConflict):
		return &problem{Status: http.StatusConflict, Detail: "Another change was being made at the same time. Try again."}
	case errors.Is(err, delivery.ErrTooManyDeliveries):
		return &problem{Status: http.StatusRequestEntityTooLarge, Detail: "These events would make more than " + strconv.Itoa(delivery.MaxDeliveries) + " deliveries: emit fewer in one call."}
	case errors.Is(err, delivery.ErrBusy):
		return &problem{Status: http.StatusTooManyRequests, Detail: "Too many calls of this kind are in progress. Try again in a moment.", retryAfter: busyRetry}
	case errors.Is(err, delivery.ErrFull):
		a.Log.Debug("call refused", zap.Error(err))
		return unavailable("The store is full.")
	case errors.Is(err, delivery.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		a.Log.Debug("call refused", zap.Error(err))
		return unavailable("The store cannot be reached.")
	default:
		a.Log.Error("call failed", zap.Error(err))
		return unavailable("The store failed; Caddy's log says why. Try again in a moment.")
	}
}

// write answers with the problem: in JSON, unless people asked for the page.
func (p *problem) write(w http.ResponseWriter, r *http.Request) error {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(p.retryAfter.Seconds())))
	}
	if asksForPage(r) {
		w.Header().Set("Vary", "Accept")
		if prefersHTML(r.Header) {
			p.page().ServeHTTP(w, r)
			return nil
		}
	}
	filled := *p
	filled.Type, filled.Title = "about:blank", http.StatusText(p.Status)
	return writeJSON(w, p.Status, "application/problem+json", &filled)
}
