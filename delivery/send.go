package delivery

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// Sender makes HTTP requests to endpoints, as sender.Sender does.
type Sender interface {
	// Send makes one request and waits for the whole response. It returns no error:
	// whatever came of it is in the response. When the context ends, the request
	// is broken off.
	Send(ctx context.Context, m sender.Message) sender.Response
	// Close closes the connections: the idle ones now, and others after their
	// requests, which go on.
	Close()
}

// start sends a delivery in a goroutine of its own, and then whatever waits for its
// slot, until nothing does.
func (e *Engine) start(w *sending) {
	e.starts.add()
	go func() {
		defer e.starts.done()
		for w != nil {
			w = e.deliver(w)
		}
	}()
}

// deliver makes the request of one delivery, and returns what is to be sent next in its
// slot.
func (e *Engine) deliver(w *sending) (next *sending) {
	ctx, ok := e.sends.add()
	if !ok { // this process is stopping
		return e.giveUp(w)
	}
	a := e.active.Load()
	if timeout := a.settings.timeout(w.Webhook); time.Until(w.until) < timeout+startMargin {
		// It is too late, or the timeout has been raised since, or is longer than that of any
		// webhook before: another process might lease the delivery before this request ends.
		a.lengthenLeases(timeout)
		defer e.sends.done()
		return e.giveUp(w)
	}
	if !w.Due.IsZero() {
		e.observer.RequestStarts(w.late(e.store.Now()), w.Slow)
	}
	outcome, notBefore, interrupted := e.send(ctx, a, w.Webhook, w.Event, w.trigger(), w.Attempt)
	if interrupted { // no attempt, but logged: something may have been sent
		next = e.giveUp(w)
		e.ended(&finished{outcome: outcome}, true)
		return next
	}
	outcome.LeaseEnd, outcome.Ordered = w.LeaseEnd, outcome.Ordered || w.Ordered
	f := &finished{outcome: outcome, slot: true}
	r := &outcome.Request
	if r.Status == RequestFailed {
		if delay, again := a.settings.retry(w.Webhook).Next(w.Attempt); again && !r.unsent() { // to try again would be in vain
			f.retryAt = time.Now().Add(max(delay, notBefore))
		} else {
			e.failedForGood(r, a.log)
		}
	}
	if outcome.Slow {
		// Its slot stays taken until the store knows that the webhook is slow, so that
		// the next claim does not treat it as a fast one.
		f.holding = w
		next = e.dispatcher.hold(w)
	} else {
		next = e.dispatcher.finish(w, r.Status == RequestSuccess)
	}
	e.ended(f, next != nil)
	return next
}

// failedForGood tells of a delivery whose last request this is.
func (e *Engine) failedForGood(r *Request, log *zap.Logger) {
	e.observer.DeliveryFailed()
	failed := *r // what others may keep: a request that succeeds need not be on the heap for it
	e.notify(func(n Notifier) { n.DeliveryFailed(&failed) })
	log.Warn("delivery failed for good",
		zap.String("tenant", r.Tenant), zap.Stringer("webhook_id", r.WebhookID),
		zap.Stringer("event_id", r.EventID), zap.Int("attempts", r.Attempt), zap.String("error", r.Error))
}

// giveUp gives back a delivery whose request was not made, or was cancelled.
func (e *Engine) giveUp(w *sending) (next *sending) {
	next = e.dispatcher.abandon(w)
	e.release(w.lease())
	return next
}

// requestID makes the id of a request that begins now. That of a first attempt follows from its
// delivery, unless the store's clock was set back: then another attempt may seem to begin in the
// same millisecond.
func requestID(w *Webhook, ev *Event, trigger Trigger, attempt int, now, startedAt time.Time) uuid.UUID {
	if trigger == TriggerEvent && attempt == 1 && startedAt.Sub(now) < time.Second {
		return FirstRequestID(w.Ref(), ev.ID, startedAt)
	}
	return NewID(startedAt)
}

// newOutcome begins to describe a request that begins now, by the store's clock.
func newOutcome(s *Settings, w *Webhook, ev *Event, trigger Trigger, attempt int, now time.Time) Outcome {
	startedAt := now
	if startedAt.Before(ev.ReceivedAt) { // the store's clock was set back: see Event.SentBy
		startedAt = ev.ReceivedAt
	}
	return Outcome{
		ReceivedAt: ev.ReceivedAt,
		Request: Request{
			Tenant:      w.Tenant,
			ID:          requestID(w, ev, trigger, attempt, now, startedAt),
			WebhookID:   w.ID,
			EventID:     ev.ID,
			EventType:   ev.Type,
			OccurredAt:  ev.OccurredAt,
			Trigger:     trigger,
			Attempt:     attempt,
			MaxAttempts: s.retry(w).Attempts,
			Status:      RequestFailed,
			URL:         w.URL,
		},
	}
}

// send makes one request and describes it. NotBefore is how long the endpoint asks to wait after a
// request that failed. Interrupted means that it was cancelled because this process is stopping.
func (e *Engine) send(ctx context.Context, a *active, w *Webhook, ev *Event, trigger Trigger, attempt int) (o Outcome, notBefore time.Duration, interrupted bool) {
	s := &a.settings
	now := e.store.Now()
	o = newOutcome(s, w, ev, trigger, attempt, now)
	r := &o.Request
	began := time.Now()
	prepared := a.prepared.get(s, w, now)
	e.noteGrace(w, now)
	if s.StandardWebhooks {
		a.secrets.warn(w, a.log)
	}
	body, response := e.exchange(ctx, a, prepared, w, ev, r.StartedAt())
	o.Slow, o.Ordered = response.TimedOut, w.OrderBy != ""
	r.StatusCode, r.Duration, r.Headers = response.StatusCode, time.Since(began), prepared.headers
	r.Error = strings.ToValidUTF8(response.Failure, "\ufffd") // it may quote what the endpoint sent
	r.ResponseBody, r.ResponseTruncated = response.Body, response.Truncated
	if r.Error == "" && r.StatusCode/100 != 2 {
		r.Error = sender.StatusFailure(r.StatusCode)
	}
	if r.Error == "" {
		r.Status = RequestSuccess
	} else {
		a.refusals.tell(w, response.Cause, a.log)
		a.log.Debug("request failed", zap.Stringer("request_id", r.ID), zap.String("error", r.Error), zap.NamedError("cause", response.Cause))
	}
	if w.Transform != "" {
		r.transformed(body)
	}
	e.observer.RequestEnded(trigger, r.Status, r.Duration)
	if response.RetryAfter != "" {
		notBefore = s.Retry.notBefore(response.RetryAfter, e.store.Now())
	}
	return o, notBefore, ctx.Err() != nil && response.Failure != ""
}
