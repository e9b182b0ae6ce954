package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/verify"
)

const (
	// receivingFor is for how long a message counts as being received if this process ends
	// meanwhile. A request may take longer: then the same message can be received beside it.
	receivingFor = 2 * time.Minute
	// markTime is how long the store may take to mark a message.
	markTime = 3 * time.Second
	// clockSlack is for how long a message is remembered after its time is over, since the
	// clocks of several Caddys may differ.
	clockSlack = time.Minute
	// minRemembered is for how long a message that has a time is remembered at least. It may be
	// fresh for longer elsewhere: after a reload that raises the tolerance, or for another handler
	// with the same secret.
	minRemembered = time.Hour
	// How long senders wait before they repeat a request.
	receivingRetry = 5 * time.Second
)

// message is a request that may go on.
type message struct {
	v      *Verify
	engine *delivery.Engine
	mark   delivery.ReceivedMark
	until  time.Time // it is fresh no longer; zero if it has no time
	end    func()    // gives back what the request holds
}

// refusal is why a request does not go on: its outcome is for the log and the metric, and the
// problem for the sender.
type refusal struct {
	outcome string
	problem error
	cause   error // nil if the outcome says it all
	unread  bool  // the body, or the rest of it, has not been read
}

func (f *refusal) Error() string { return f.outcome }

// Outcomes of requests, beside the reasons of package verify.
const (
	verifyAccepted    = "accepted"
	verifyReplayed    = "replayed"
	verifyReceiving   = "receiving"
	verifyTooLarge    = "too_large"
	verifyUnread      = "unread"
	verifyUnavailable = "unavailable"
)

var verifyOutcomes = []string{
	verifyAccepted, string(verify.ErrUnsigned), string(verify.ErrMalformed), string(verify.ErrStale), string(verify.ErrForged),
	verifyReplayed, verifyReceiving, verifyTooLarge, verifyUnread, verifyUnavailable,
}

// verifiedRequests counts what became of requests to webhook_verify.
var verifiedRequests = newVerifiedRequests()

var unmarkedRequests = metrics.counter("verified_unmarked_total", "Requests that webhook_verify let through, that were answered, and whose mark could not be written: the same request could be received again.")

func newVerifiedRequests() *prometheus.CounterVec {
	c := metrics.counters("verified_requests_total", "Requests to webhook_verify, by scheme and by whether they were accepted or why not.", "scheme", "outcome")
	for _, scheme := range verify.Schemes() {
		for _, outcome := range verifyOutcomes {
			c.WithLabelValues(scheme, outcome)
		}
	}
	return c
}

// unverified refuses a request in words that help nobody to make a better one.
func unverified(outcome string, unread bool) *refusal {
	return &refusal{outcome: outcome, unread: unread, problem: api.Problem(http.StatusUnauthorized,
		"The request is not signed as it has to be, or not for now, or it was received before.", 0)}
}

func cannotTell(err error, unread bool) *refusal {
	return &refusal{outcome: verifyUnavailable, cause: err, unread: unread, problem: api.Problem(http.StatusServiceUnavailable,
		"It cannot be told now whether the request was received before. Send it again.", receivingRetry)}
}

// receive checks a request and marks it as being received. What can be refused by its headers is
// refused before its body is read.
func (v *Verify) receive(w http.ResponseWriter, r *http.Request) (*message, error) {
	now := time.Now()
	head, err := v.verifier.Head(r.Header, now)
	if reason, ok := errors.AsType[verify.ReasonError](err); ok {
		return nil, unverified(string(reason), r.ContentLength != 0)
	}
	body, leave, err := verifyIntake.ReadBody(w, r, v.room(), v.MaxSize)
	if err != nil {
		outcome := verifyUnread
		if api.ProblemStatus(err) == http.StatusRequestEntityTooLarge {
			outcome = verifyTooLarge
		}
		return nil, &refusal{outcome: outcome, problem: err, unread: true}
	}
	if reason, ok := errors.AsType[verify.ReasonError](v.verifier.Body(head, body)); ok {
		leave()
		return nil, unverified(string(reason), false)
	}
	app, release := v.app.hold()
	if app == nil {
		leave()
		return nil, cannotTell(errNoApp, false)
	}
	m := &message{
		v: v, engine: app.engine.Engine,
		mark: delivery.ReceivedMark{Message: v.verifier.Message(head, body), Guards: v.guards, Token: receivingToken(r)},
		end:  func() { release(); leave() },
	}
	if verify.SignsTime(v.Scheme) {
		m.until = head.At.Add(time.Duration(v.Tolerance))
	}
	if err := m.begin(r.Context()); err != nil {
		m.release()
		return nil, err
	}
	if r.ContentLength != 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	repl := replacer(r)
	repl.Set("http.webhook.id", head.ID)
	repl.Set("http.webhook.timestamp", head.Timestamp)
	return m, nil
}

// receivingVar is the variable of Caddy's that has the token of a request.
const receivingVar = "webhook_verify.token"

// receivingToken is the token of a request. It is the same for all such handlers that the request passes:
// with the same secret, they would refuse it as being received otherwise.
func receivingToken(r *http.Request) uuid.UUID {
	if token, ok := caddyhttp.GetVar(r.Context(), receivingVar).(uuid.UUID); ok {
		return token
	}
	token := uuid.New()
	caddyhttp.SetVar(r.Context(), receivingVar, token)
	return token
}

// room names the handler among those that take memory for bodies. No tenant has such a name.
func (v *Verify) room() string { return "webhook_verify " + v.Scheme + " " + string(v.guards[0][:]) }

func (m *message) release() { m.end() }

// begin marks the message as being received.
func (m *message) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, markTime)
	defer cancel()
	m.mark.As, m.mark.For = delivery.Receiving, receivingFor
	switch err := m.engine.MarkReceived(ctx, &m.mark); {
	case err == nil:
		return nil
	case errors.Is(err, delivery.ErrReceived):
		return unverified(verifyReplayed, false)
	case errors.Is(err, delivery.ErrReceiving):
		return &refusal{outcome: verifyReceiving, problem: api.Problem(http.StatusConflict,
			"The same request is being received. Send it again if that does not succeed.", receivingRetry)}
	default:
		return cannotTell(err, false)
	}
}

// pass has what comes after handle the request, and marks the message by how that ends, also
// by a panic: what was answered with 2xx was received.
func (m *message) pass(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	verifiedRequests.WithLabelValues(m.v.Scheme, verifyAccepted).Inc()
	answer := &answerWatch{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, gone: r.Context().Done()}
	ended := false
	defer func() {
		if !ended {
			m.finish(r.Context(), answer.received)
		}
	}()
	err := next.ServeHTTP(answer, r)
	ended = true
	// Who writes nothing, and returns no error, is answered with 200.
	m.finish(r.Context(), answer.received || err == nil && !answer.answered && r.Context().Err() == nil)
	return err
}

// finish marks the message as received or not. The sender may be gone by then.
func (m *message) finish(ctx context.Context, received bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTime)
	defer cancel()
	m.mark.As, m.mark.For = delivery.NotReceived, 0
	if received {
		m.mark.As, m.mark.For = delivery.Received, time.Duration(m.v.Tolerance)
		if !m.until.IsZero() {
			m.mark.For = max(time.Until(m.until)+clockSlack, minRemembered)
		}
	}
	if err := m.engine.MarkReceived(ctx, &m.mark); err != nil && received {
		unmarkedRequests.Inc()
		log := m.v.errorLog()
		log("cannot mark a request as received: the same one could be received again", zap.Error(err))
	}
}

// answerWatch notes how a request is answered.
type answerWatch struct {
	*caddyhttp.ResponseWriterWrapper

	gone     <-chan struct{} // closed once the sender has gone
	answered bool
	received bool // with 2xx, while the sender was there
}

// WriteHeader notes the status.
func (a *answerWatch) WriteHeader(status int) {
	a.note(status)
	a.ResponseWriterWrapper.WriteHeader(status)
}

// Write writes some of the body, whose status is 200 if there is none yet.
func (a *answerWatch) Write(some []byte) (int, error) {
	a.note(http.StatusOK)
	return a.ResponseWriterWrapper.Write(some)
}

// ReadFrom is Write for those who copy.
func (a *answerWatch) ReadFrom(r io.Reader) (int64, error) {
	a.note(http.StatusOK)
	return a.ResponseWriterWrapper.ReadFrom(r)
}

func (a *answerWatch) note(status int) {
	if !a.answered && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		a.answered = true
		select {
		case <-a.gone:
		default:
			a.received = status >= http.StatusOK && status < http.StatusMultipleChoices
		}
	}
}

// refuse answers a request that does not go on.
func (v *Verify) refuse(w http.ResponseWriter, r *http.Request, err error) error {
	why, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	verifiedRequests.WithLabelValues(v.Scheme, why.outcome).Inc()
	if why.outcome == verifyUnavailable && r.Context().Err() == nil {
		log := v.errorLog()
		log("cannot tell whether signed requests were received before, so they are refused", zap.Error(why.cause))
	}
	v.log.Debug("refused a request", zap.String("scheme", v.Scheme), zap.String("reason", why.outcome), zap.Error(why.cause))
	return api.WriteProblem(w, why.problem, why.unread)
}

// storeFailed is when the log was last told that the store does not do its part.
var storeFailed atomic.Pointer[time.Time]

// errorLog logs at level ERROR once a minute at most, and else at level DEBUG.
func (v *Verify) errorLog() func(string, ...zap.Field) {
	last, now := storeFailed.Load(), time.Now()
	if (last == nil || now.Sub(*last) >= time.Minute) && storeFailed.CompareAndSwap(last, &now) {
		return v.log.Error
	}
	return v.log.Debug
}
