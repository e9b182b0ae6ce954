package delivery

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/time/rate"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// replayed is a delivery with which a replay has dealt.
type replayed struct {
	delivery ReplayedDelivery
	how      replayedHow
}

// replayedHow says how that ended.
type replayedHow int

const (
	// replayUnknown: it may not have been sent.
	replayUnknown replayedHow = iota
	replaySucceeded
	replayFailed
	// replayPassedOver: nothing is sent to its webhook, or there is nothing to send any more.
	replayPassedOver
)

// How long a delivery waits for a slot before it is read again, since its webhook may have changed,
// and how often it looks.
const (
	spareTime = time.Second
	spareLook = 10 * time.Millisecond
	// maxStartWait is after how long a delivery that waits for a start is read again: its webhook may
	// have another rate, or none, or be disabled.
	maxStartWait = 5 * time.Second
	// replaysPerCPU is how many requests of replays begin in a second for each CPU. One takes some
	// 0.5 ms of it, its part of the store included: new events wait behind more of them, or behind
	// several at once.
	replaysPerCPU = 100
)

// replayOne sends a delivery again, once there is a slot that nobody else needs, and returns once the
// request is in the log. With check, somebody else may have sent it since the replay was created, which
// the log knows. When the context ends, what has not begun does not begin.
func (e *Engine) replayOne(ctx context.Context, tenant string, createdAt time.Time, d ReplayedDelivery, check bool, turn chan struct{}) replayedHow {
	again := backoff.Backoff{First: replayBackoff, Most: maxReplayBackoff}
	waited, started := false, false // for its turn, for a start of a webhook with a RateLimit
	paced := false                  // once, however long it waits for a slot: others must not be slower for it
	defer func() {
		if waited {
			<-turn
		}
	}()
	for ctx.Err() == nil {
		if check {
			how, err := e.replayedBefore(ctx, tenant, createdAt, d)
			if err != nil {
				_ = again.Wait(ctx)
				continue
			}
			if how != replayUnknown {
				return how
			}
			check = false
		}
		w, ev, err := e.toReplay(ctx, tenant, d)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && (ev == nil || !w.Enabled):
			return replayPassedOver
		case err != nil:
			_ = again.Wait(ctx) // what is wrong, the replay notices when it is saved
			continue
		}
		if w.RateLimit != nil && !started {
			if waited {
				started = e.awaitStart(ctx, w, &again)
			} else {
				waited = awaitTurn(ctx, turn)
			}
			continue // the webhook may have changed meanwhile
		}
		if !paced && e.replayPace.Wait(ctx) != nil {
			break
		}
		paced = true
		if how, begun := e.replayNow(ctx, w, ev); begun {
			return how
		}
	}
	return replayUnknown
}

// replayedBefore says how the request ended by which a delivery was replayed before, replayUnknown if
// there is none in the log, or it was broken off.
func (e *Engine) replayedBefore(ctx context.Context, tenant string, createdAt time.Time, d ReplayedDelivery) (replayedHow, error) {
	rows, err := e.someRequests(ctx, tenant, RequestFilter{
		WebhookID: d.WebhookID, EventID: d.EventID, Trigger: TriggerReplay, Since: createdAt, Limit: 1,
	})
	switch {
	case err != nil:
		return replayUnknown, err
	case len(rows) == 0 || rows[0].Error == sender.Interrupted:
		return replayUnknown, nil
	case rows[0].Status == RequestSuccess:
		return replaySucceeded, nil
	default:
		return replayFailed, nil
	}
}

func newReplayPace() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(replaysPerCPU*runtime.GOMAXPROCS(0)), 1)
}

// replayNow makes the request as soon as there is a slot, unless that takes too long.
func (e *Engine) replayNow(ctx context.Context, w *Webhook, ev *Event) (how replayedHow, begun bool) {
	of := &sending{Job: Job{Webhook: w, Event: ev}}
	for waits := time.Now(); ; {
		if e.dispatcher.startSpare(of) {
			break
		}
		if backoff.Sleep(ctx, spareLook) != nil || time.Since(waits) > spareTime {
			return replayUnknown, false
		}
	}
	sendCtx, ok := e.sends.add()
	if !ok { // this process is stopping
		e.startNext(e.dispatcher.endSpare(of, func() *sending { return e.dispatcher.abandon(of) }))
		return replayUnknown, true
	}
	outcome, _, interrupted := e.send(sendCtx, e.active.Load(), w, ev, TriggerReplay, 0)
	f := &finished{outcome: outcome, slot: true, written: make(chan struct{})}
	status := outcome.Request.Status
	e.startNext(e.dispatcher.endSpare(of, func() *sending {
		if outcome.Slow {
			f.holding = of
			return e.dispatcher.hold(of)
		}
		return e.dispatcher.finish(of, status == RequestSuccess)
	}))
	e.ended(f, true)
	<-f.written
	switch {
	case interrupted, errors.Is(f.err, errStopping):
		return replayUnknown, true
	case status == RequestSuccess:
		return replaySucceeded, true
	default:
		return replayFailed, true
	}
}

// awaitTurn waits for the turn: of a replay, one request to a webhook with a RateLimit waits for a start
// or is in flight at a time.
func awaitTurn(ctx context.Context, turn chan struct{}) bool {
	select {
	case turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitStart takes a start of a webhook with a RateLimit that nothing on the schedule has taken, which
// does that before it has come. If there is none it waits, no longer than maxStartWait.
func (e *Engine) awaitStart(ctx context.Context, w *Webhook, again *backoff.Backoff) bool {
	in, err := e.store.TakeStart(ctx, w.Ref(), true)
	if err != nil {
		_ = again.Wait(ctx)
		return false
	}
	if in > 0 {
		_ = backoff.Sleep(ctx, min(in, maxStartWait))
	}
	return in <= 0
}

// startNext sends what waited for a slot, if anything did.
func (e *Engine) startNext(next *sending) {
	if next != nil {
		e.start(next)
	}
}
