package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// emitLane has the events of one tenant that wait, in their order. The queue's lock guards it,
// but for its tenant.
type emitLane struct {
	tenant string
	events []*gatewayEvent
	memory int64
	most   int // events of an emit
	busy   bool
	timer  *time.Timer // until it is tried again; nil unless it waits for that
	pause  time.Duration
	// failing is since when the store takes none of them, and err why; zero while it does.
	failing time.Time
	err     error
}

const (
	firstEmitPause = 100 * time.Millisecond
	maxEmitPause   = 2 * time.Second
)

// emitFailure is why events of an emit have no outcome yet.
type emitFailure struct {
	err   error
	later time.Duration // after which it is tried again
	// standstill: it is a fault, and not a limit of the tenant.
	standstill bool
}

func newEmitLane(tenant string) *emitLane {
	return &emitLane{tenant: tenant, most: maxEmitEvents, pause: firstEmitPause}
}

// next are the events of the next emit.
func (l *emitLane) next() []*gatewayEvent {
	n, bytes := 0, 0
	for _, g := range l.events {
		if bytes += len(g.body); n == l.most || n > 0 && bytes > maxEmitBytes {
			break
		}
		n++
	}
	return l.events[:n:n]
}

// emit emits events, and returns how many of them, from the first on, have an outcome.
func (l *emitLane) emit(ctx context.Context, a *App, batch []*gatewayEvent) (done int, failure *emitFailure) {
	release, ok := a.engine.Hold()
	if !ok {
		return 0, &emitFailure{err: errNoApp, later: l.pause, standstill: true}
	}
	defer release()
	if a.api.Limits.Events > 0 {
		batch = batch[:1] // a limit may leave room for so many
	}
	events, ends, done := prepareEmit(ctx, a.api, batch)
	if ctx.Err() != nil {
		return 0, &emitFailure{err: ctx.Err(), later: l.pause}
	}
	if len(events) == 0 {
		return done, nil
	}
	later, err := a.api.Emit(ctx, l.tenant, events)
	switch {
	case err == nil:
		for i, of := range ends {
			gateway.note(of, events[i].Type, l.tenant, nil)
		}
		return done + len(events), nil
	case later > 0:
		limit := errors.Is(err, api.ErrEventLimit)
		if !limit {
			later = l.pause
		}
		return done, &emitFailure{err: err, later: later, standstill: !limit}
	case len(events) == 1:
		gateway.note(outcomeInvalid, events[0].Type, l.tenant, err)
		return done + 1, nil
	default:
		return done, &emitFailure{err: err} // one by one, to know which of them it is
	}
}

// prepareEmit makes the events of an emit, from the first of a batch on, with how each ends if it
// is stored. Done are how many before them cannot be emitted.
func prepareEmit(ctx context.Context, a *api.API, batch []*gatewayEvent) (events []delivery.NewEvent, ends []outcome, done int) {
	events, ends = make([]delivery.NewEvent, 0, len(batch)), make([]outcome, 0, len(batch))
	room := maxEmitBytes
	for _, g := range batch {
		ev, of, err := g.prepare(ctx, a)
		room -= len(ev.Data)
		switch {
		case ctx.Err() != nil:
			return nil, nil, done
		case len(events) > 0 && (err != nil || room < 0):
			// It comes first next time. Decoded, events may be far larger than when they waited.
			return events, ends, done
		case err != nil:
			gateway.note(of, ev.Type, g.tenant, err)
			done++
		default:
			events, ends = append(events, ev), append(ends, of)
		}
	}
	return events, ends, done
}

// noteFailure notes how an emit ended.
func (l *emitLane) noteFailure(failure *emitFailure) {
	switch {
	case failure == nil:
		l.failing, l.err, l.pause, l.most = time.Time{}, nil, firstEmitPause, maxEmitEvents
	case failure.later == 0:
		l.most = 1
	case failure.standstill:
		if l.failing.IsZero() {
			l.failing = time.Now()
		}
		l.err = failure.err
		l.pause = min(2*l.pause, maxEmitPause)
	}
}

// emitWaiting is what health says of events that wait.
func emitWaiting(since time.Duration, err error) error {
	return fmt.Errorf("%w: %w", delivery.Reason(fmt.Sprintf("events from traffic have waited for the store for %s", since.Round(time.Second))), err)
}
