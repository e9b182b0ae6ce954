package delivery

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

// DisabledReason says why a webhook is disabled; "" if it is enabled.
type DisabledReason string

// An admin did it; its endpoint said by 410 that it is gone; it had nothing but failures for as
// long as Settings.DisableAfter; or the configuration does not have it any more.
const (
	DisabledByAdmin  DisabledReason = "admin"
	DisabledGone     DisabledReason = "gone"
	DisabledFailing  DisabledReason = "failing"
	DisabledByConfig DisabledReason = "config"
)

// bySystem is who does in the audit log what nobody asked for.
const bySystem = "system"

const (
	// leastRequests is how many requests a webhook must have had, all failed, before it is
	// disabled for that.
	leastRequests = 10
	// A webhook that keeps failing is looked at when a request fails, but not again before a
	// judgeShare of DisableAfter has passed, within these bounds.
	judgeShare    = 20
	minJudgePause = 100 * time.Millisecond
	maxJudgePause = 10 * time.Minute
	// maxJudged bounds the webhooks that wait to be looked at because they fail, those that wait
	// because they are gone, and those of which it is remembered when they may be looked at
	// again. Of others, the next failure reminds.
	maxJudged = 10_000
	// maxUnsent bounds how many requests are passed over of which nothing was sent.
	maxUnsent = 1000
)

// WhyDisabled is why the webhook is disabled, "" if it is enabled. Before that was kept, only
// admins did it.
func (w *Webhook) WhyDisabled() DisabledReason {
	switch {
	case w.Enabled:
		return ""
	case w.DisabledReason == "":
		return DisabledByAdmin
	default:
		return w.DisabledReason
	}
}

// noteDisabled notes since when, and why, the webhook is disabled.
func (w *Webhook) noteDisabled() { w.DisabledAt, w.DisabledReason = w.DisabledSince(), w.WhyDisabled() }

// judge gathers webhooks of which a request has failed, to be disabled if they should be. What
// was sent before the webhook was last changed says nothing about it.
type judge struct {
	wake chan struct{} // of capacity 1

	mu      sync.Mutex
	gone    map[WebhookRef]judged    // whose endpoint said so
	failing map[WebhookRef]judged    // the others
	next    map[WebhookRef]time.Time // when each may be looked at again because it fails
	full    bool                     // gone was, and has not been empty since
}

// judged is a request that failed.
type judged struct {
	url       string
	eventType string
	at        time.Time // when it began, by the store's clock
	gone      bool
}

func newJudge() *judge {
	return &judge{
		wake: make(chan struct{}, 1),
		gone: make(map[WebhookRef]judged), failing: make(map[WebhookRef]judged), next: make(map[WebhookRef]time.Time),
	}
}

// note gathers a request that failed. Of several to a webhook, which may have gone to different
// endpoints, one that says that the endpoint is gone is looked at, and otherwise the latest. It
// returns true if it is the first that says so and cannot be kept.
func (j *judge) note(ref WebhookRef, of judged, now time.Time) (lost bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	cases := j.gone
	if !of.gone {
		if _, gone := j.gone[ref]; gone || now.Before(j.next[ref]) {
			return false
		}
		cases = j.failing
	}
	other, known := cases[ref]
	switch {
	case known && of.at.Before(other.at):
		return false
	case !known && len(cases) >= maxJudged:
		lost = of.gone && !j.full
		j.full = j.full || of.gone
		return lost
	}
	cases[ref] = of
	if of.gone {
		delete(j.failing, ref)
	}
	select {
	case j.wake <- struct{}{}:
	default:
	}
	return false
}

// take takes one webhook, those that are gone first; false if there is none.
func (j *judge) take() (ref WebhookRef, of judged, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.full = j.full && len(j.gone) > 0
	for _, cases := range []map[WebhookRef]judged{j.gone, j.failing} {
		for ref, of := range cases {
			delete(cases, ref)
			return ref, of, true
		}
	}
	return WebhookRef{}, judged{}, false
}

// notAgain has failures of a webhook passed over for a while.
func (j *judge) notAgain(ref WebhookRef, until time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.next) >= maxJudged {
		clear(j.next)
	}
	j.next[ref] = until
}

// noteFailures gathers those of some outcomes that are in the log now, if that may disable
// webhooks. What was not sent says nothing about an endpoint.
func (e *Engine) noteFailures(batch []*finished) {
	s := e.settings()
	if !s.DisableOnGone && s.DisableAfter == 0 {
		return
	}
	for _, f := range batch {
		r := &f.outcome.Request
		gone := s.DisableOnGone && r.StatusCode == 410
		if r.Status == RequestFailed && (gone || s.DisableAfter > 0) && !r.unsent() {
			e.noteFailure(WebhookRef{r.Tenant, r.WebhookID}, judged{r.URL, r.EventType, r.StartedAt(), gone})
		}
	}
}

// noteFailure gathers one.
func (e *Engine) noteFailure(ref WebhookRef, of judged) {
	if e.judge.note(ref, of, time.Now()) {
		e.log().Error("too many endpoints say by 410 that they are gone: some of their webhooks stay enabled until the next 410",
			zap.Int("waiting", maxJudged))
	}
}

// judgeFailures disables webhooks until the context ends. Of several processes, one does it.
func (e *Engine) judgeFailures(ctx context.Context) {
	again := backoff.Backoff{First: time.Second, Most: time.Minute}
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.judge.wake:
		}
		for ref, of, ok := e.judge.take(); ok && ctx.Err() == nil; ref, of, ok = e.judge.take() {
			if err := e.judgeOne(ctx, ref, of); err == nil || errors.Is(err, ErrNotFound) {
				again.Reset()
				continue
			}
			// The store, or others who change webhooks all the time. A 410 may be the last
			// request for long: it is kept.
			e.noteFailure(ref, of)
			if again.Wait(ctx) != nil {
				return
			}
		}
	}
}

// judgeOne disables a webhook if it should be.
func (e *Engine) judgeOne(ctx context.Context, ref WebhookRef, of judged) error {
	if of.gone {
		return e.disable(ctx, ref, of, DisabledGone)
	}
	after := e.settings().DisableAfter
	if after == 0 { // the settings have changed
		return nil
	}
	began, now := time.Now(), e.store.Now()
	until, err := e.failsUntil(ctx, ref, now, after)
	if err != nil {
		return err
	}
	if !until.After(now) {
		return e.disable(ctx, ref, of, DisabledFailing)
	}
	pause := min(max(after/judgeShare, minJudgePause), maxJudgePause)
	e.judge.notAgain(ref, began.Add(max(pause, until.Sub(now))))
	return nil
}

// failsUntil is when a webhook will have had nothing but failures for so long, at the earliest:
// now, if it has. It is in the future, too, while that cannot be known.
func (e *Engine) failsUntil(ctx context.Context, ref WebhookRef, now time.Time, after time.Duration) (time.Time, error) {
	w, _, err := e.store.Webhook(ctx, ref)
	if err != nil {
		return now, err
	}
	unknown := now.Add(1)
	filter := RequestFilter{WebhookID: ref.ID, Since: w.UpdatedAt, Limit: leastRequests}
	newest, err := e.someRequests(ctx, ref.Tenant, filter)
	if err != nil {
		return now, err
	}
	for i := range newest {
		if newest[i].Status == RequestSuccess {
			return later(newest[i].StartedAt().Add(after), unknown), nil
		}
	}
	if begins := w.UpdatedAt.Add(after); len(newest) < leastRequests || begins.After(now) {
		return later(begins, unknown), nil
	}
	// Before that time, and since then, there must be nothing but failures.
	before, since := filter, filter
	before.Until, before.Limit = now.Add(-after), 1
	since.Since, since.Status, since.Limit = before.Until, RequestSuccess, 1
	successes, err := e.someRequests(ctx, ref.Tenant, since)
	if err != nil {
		return now, err
	}
	if len(successes) > 0 {
		return later(successes[0].StartedAt().Add(after), unknown), nil
	}
	earlier, err := e.someRequests(ctx, ref.Tenant, before)
	if err != nil || len(earlier) > 0 && earlier[0].Status == RequestFailed {
		return now, err
	}
	return unknown, nil
}

// someRequests are the newest rows that a filter chooses, as many as its limit says, but for those
// of which nothing was sent. They are fewer if it had to pass over too many of these.
func (e *Engine) someRequests(ctx context.Context, tenant string, filter RequestFilter) (rows []Request, err error) {
	most, passed := filter.Limit, 0
	for {
		page, err := e.store.Requests(ctx, tenant, filter)
		if err != nil {
			return nil, err
		}
		all := len(page.Requests)
		sent := slices.DeleteFunc(page.Requests, func(r Request) bool { return r.unsent() })
		rows = append(rows, sent...)
		passed += all - len(sent)
		switch {
		case len(rows) >= most:
			return rows[:most], nil
		case page.Next == uuid.Nil || passed >= maxUnsent:
			return rows, nil
		case passed > 0:
			filter.Limit = deliveryRows
		default:
			filter.Limit = most - len(rows)
		}
		filter.Before = page.Next
	}
}

// disable disables a webhook, unless it has changed since the request.
func (e *Engine) disable(ctx context.Context, ref WebhookRef, of judged, reason DisabledReason) error {
	s := e.settings()
	var audit []Audit
	if s.AuditOwn != nil {
		audit = append(audit, s.AuditOwn(bySystem, ActionWebhookDisabled))
	}
	w, err := e.changeIf(ctx, ref, func(w *Webhook) (bool, error) {
		if !w.Enabled || w.URL != of.url || w.UpdatedAt.After(of.at) {
			return false, nil
		}
		w.Enabled, w.DisabledReason = false, reason
		return true, nil
	}, audit)
	if w == nil || err != nil {
		return err
	}
	e.observer.WebhookDisabled(reason)
	e.notify(func(n Notifier) { n.WebhookDisabled(w, of.eventType) })
	e.log().Warn("webhook disabled",
		zap.String("tenant", w.Tenant), zap.Stringer("webhook_id", w.ID), zap.String("reason", string(reason)))
	return nil
}
