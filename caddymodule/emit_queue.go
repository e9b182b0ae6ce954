package caddymodule

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// gateway takes the events of the traffic to the store. It is that of this process, so that
// what waits in it outlives reloads.
var gateway = newGatewayQueue()

const (
	// defaultQueueSize is how many bytes the events that wait take at most, with the copies
	// that are in the making.
	defaultQueueSize = 64 << 20
	// maxEmitting is how many emits of it are in progress at a time, of a tenant each.
	maxEmitting = 64
	// An emit has at most so many events and bytes.
	maxEmitEvents = 100
	maxEmitBytes  = 1 << 20
	// flushTime is how long the events that wait have at a stop. Common service managers
	// kill a process after 5 s, of which the engine needs some.
	flushTime = 1500 * time.Millisecond
)

var (
	errQueueFull = errors.New("the events that wait for the store take all the memory that they may have (emit_queue)")
	errShareFull = errors.New("the events of this tenant that wait for the store take as much memory as they leave free (emit_queue)")
	errNoApp     = errors.New("no configuration with the webhooks app is in force any more")
	errStopped   = errors.New("Caddy stopped before the store took them")
)

// gatewayQueue holds events that the client did not wait for. Each tenant has a lane, of which
// one emit is in progress at a time: meanwhile the next one gathers. A lane whose emit fails
// waits and tries again, with the same events and ids; the others go on.
type gatewayQueue struct {
	limit, reserved atomic.Int64 // bytes
	waiting         atomic.Int64 // events
	bodies          emitBodies   // of which the memory is among what is reserved
	outcomes        outcomeLog

	mu      sync.Mutex
	apps    []*App // of started configurations, the newest last
	lanes   map[string]*emitLane
	ready   []*emitLane // with events, and nobody at work
	working int
	workers sync.WaitGroup
	idle    chan struct{} // closed when nothing waits any more; nil unless somebody wants to know
	ctx     context.Context
	cancel  context.CancelFunc
	stands  bool // the log says that events wait
}

func newGatewayQueue() *gatewayQueue {
	q := &gatewayQueue{lanes: make(map[string]*emitLane)}
	q.limit.Store(defaultQueueSize)
	return q
}

// reserve takes bytes of the memory, unless there are too few left, also without bodies that are
// slow. Less than none give some back.
func (q *gatewayQueue) reserve(bytes int64) bool {
	for q.reserved.Add(bytes) > q.limit.Load() && bytes > 0 {
		q.reserved.Add(-bytes)
		given, ok := q.bodies.giveUpOne()
		if !ok {
			return false
		}
		q.unreserve(given)
	}
	return true
}

func (q *gatewayQueue) unreserve(bytes int64) { q.reserved.Add(-bytes) }

// use makes the app of a configuration that starts the one by which events are emitted.
func (q *gatewayQueue) use(a *App) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.apps) == 0 {
		q.ctx, q.cancel = context.WithCancel(context.Background())
	}
	q.apps = append(q.apps, a)
	q.limit.Store(a.queueSize())
}

// leave does without the app of a configuration that has ended. With the last one, what waits
// is emitted as far as there is time, and the rest is lost.
func (q *gatewayQueue) leave(a *App) {
	q.mu.Lock()
	if !slices.Contains(q.apps, a) {
		q.mu.Unlock()
		return
	}
	if len(q.apps) == 1 {
		q.flush()
	}
	q.apps = slices.DeleteFunc(q.apps, func(other *App) bool { return other == a })
	if n := len(q.apps); n > 0 {
		q.limit.Store(q.apps[n-1].queueSize())
		q.mu.Unlock()
		return
	}
	q.cancel()
	q.mu.Unlock()
	q.workers.Wait()
	q.mu.Lock()
	lost := q.drop()
	q.mu.Unlock()
	if lost > 0 {
		q.noteLost(a.log, lost)
	}
	q.outcomes.forget()
}

func (*gatewayQueue) noteLost(log *zap.Logger, n int) {
	metrics.gateway.WithLabelValues(string(outcomeDropped)).Add(float64(n))
	log.Error("events from traffic were lost", zap.Int("events", n), zap.Error(errStopped))
}

// flush waits for some time until nothing waits. The caller holds q.mu, and does again when
// it returns.
func (q *gatewayQueue) flush() {
	if q.waiting.Load() == 0 {
		return
	}
	for _, l := range q.lanes {
		q.hurry(l)
	}
	idle := make(chan struct{})
	q.idle = idle
	q.mu.Unlock()
	patience := time.NewTimer(flushTime)
	defer patience.Stop()
	select {
	case <-idle:
	case <-patience.C:
	}
	q.mu.Lock()
	q.idle = nil
}

// drop forgets what waits, and returns how much that was. The caller holds q.mu, and nobody
// is at work.
func (q *gatewayQueue) drop() (lost int) {
	for tenant, l := range q.lanes {
		if l.timer != nil {
			l.timer.Stop()
		}
		lost += len(l.events)
		for _, g := range l.events {
			q.unreserve(g.memory)
		}
		delete(q.lanes, tenant)
	}
	q.ready, q.stands = nil, false
	q.waiting.Add(-int64(lost))
	return lost
}

// add takes an event, or says why it is lost. The event's memory is the queue's from then on.
func (q *gatewayQueue) add(g *gatewayEvent) {
	err := q.tryAdd(g)
	if err != nil {
		q.unreserve(g.memory)
		q.note(outcomeDropped, g.event.Type, g.tenant, err)
	}
}

func (q *gatewayQueue) tryAdd(g *gatewayEvent) error {
	if !q.reserve(eventWeight) {
		return errQueueFull
	}
	g.memory += eventWeight
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.apps) == 0 {
		return errNoApp
	}
	l := q.lanes[g.tenant]
	if l == nil {
		l = newEmitLane(g.tenant)
		q.lanes[g.tenant] = l
	}
	if len(l.events) > 0 && l.memory+g.memory > q.limit.Load()-q.reserved.Load()+q.bodies.bytes.Load() {
		return errShareFull
	}
	l.events = append(l.events, g)
	l.memory += g.memory
	q.waiting.Add(1)
	q.start(l)
	return nil
}

// start has a lane emitted, unless somebody is at it or it waits to be tried again. The
// caller holds q.mu.
func (q *gatewayQueue) start(l *emitLane) {
	if l.busy || l.timer != nil || q.ctx.Err() != nil {
		return
	}
	l.busy = true
	q.ready = append(q.ready, l)
	if q.working < maxEmitting {
		q.working++
		q.workers.Go(q.work)
	}
}

// work emits lanes that are ready, until there are none.
func (q *gatewayQueue) work() {
	for {
		q.mu.Lock()
		if len(q.ready) == 0 || q.ctx.Err() != nil {
			q.working--
			q.mu.Unlock()
			return
		}
		l, ctx, a := q.ready[0], q.ctx, q.apps[len(q.apps)-1]
		q.ready = q.ready[1:]
		batch := l.next()
		q.mu.Unlock()
		done, err := l.emit(ctx, a.orInForce(), batch) // one that is starting may be taken back
		q.mu.Lock()
		q.emitted(l, done, err)
		q.mu.Unlock()
	}
}

// emitted goes on after an emit, by which the first events of a lane have an outcome. The
// caller holds q.mu.
func (q *gatewayQueue) emitted(l *emitLane, done int, err *emitFailure) {
	for _, g := range l.events[:done] {
		l.memory -= g.memory
		q.unreserve(g.memory)
	}
	clear(l.events[:done])
	l.events = l.events[done:]
	q.waiting.Add(-int64(done))
	l.busy = false
	l.noteFailure(err)
	switch {
	case len(l.events) == 0:
		delete(q.lanes, l.tenant)
	case err != nil && err.later > 0:
		l.timer = time.AfterFunc(err.later, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.hurry(l)
		})
	default:
		q.start(l)
	}
	if q.idle != nil && q.waiting.Load() == 0 {
		close(q.idle)
		q.idle = nil
	}
	q.tell()
}

// hurry tries a lane again that waits for that. The caller holds q.mu.
func (q *gatewayQueue) hurry(l *emitLane) {
	if l.timer == nil || q.lanes[l.tenant] != l {
		return
	}
	l.timer.Stop()
	l.timer = nil
	q.start(l)
}

// log is the log of the configuration in force.
func (q *gatewayQueue) log() *zap.Logger {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.currentLog()
}

func (q *gatewayQueue) currentLog() *zap.Logger {
	if n := len(q.apps); n > 0 {
		return q.apps[n-1].log
	}
	return zap.NewNop()
}

// standsAfter is for how long events must have waited before that is a fault, rather than a
// moment that passes.
const standsAfter = 5 * time.Second

// health says whether events wait that the store does not take.
func (q *gatewayQueue) health() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.complaint(time.Now())
}

// complaint says for how long events have waited for the store. The caller holds q.mu.
func (q *gatewayQueue) complaint(now time.Time) error {
	var longest *emitLane
	for _, l := range q.lanes {
		if !l.failing.IsZero() && (longest == nil || l.failing.Before(longest.failing)) {
			longest = l
		}
	}
	if longest == nil || now.Sub(longest.failing) < standsAfter {
		return nil
	}
	return emitWaiting(now.Sub(longest.failing), longest.err)
}

// tell logs a change of what health says. The caller holds q.mu.
func (q *gatewayQueue) tell() {
	err := q.complaint(time.Now())
	switch {
	case err != nil && !q.stands:
		q.currentLog().Error("events from traffic wait for the store", zap.Int64("events", q.waiting.Load()), zap.Error(err))
	case err == nil && q.stands:
		q.currentLog().Info("the store takes events from traffic again", zap.Int("lost", q.outcomes.rest(outcomeDropped)))
	}
	q.stands = err != nil
}

// emitNow emits one event while its client waits, and gives its memory back.
func (q *gatewayQueue) emitNow(ctx context.Context, own *App, g *gatewayEvent) error {
	defer func() { q.unreserve(g.memory) }()
	g.take = func(bytes int64) bool {
		if !q.reserve(bytes) {
			return false
		}
		g.memory += bytes
		return true
	}
	if !g.take(eventWeight) {
		q.note(outcomeNotStored, g.event.Type, g.tenant, errQueueFull)
		return errQueueFull
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), strictTime)
	defer cancel()
	a, release := own.hold()
	if a == nil {
		q.note(outcomeNotStored, g.event.Type, g.tenant, errNoApp)
		return errNoApp
	}
	defer release()
	ev, of, err := g.prepare(ctx, a.api)
	if err != nil {
		q.note(of, ev.Type, g.tenant, err)
		return err
	}
	if _, err := a.api.Emit(ctx, g.tenant, []delivery.NewEvent{ev}); err != nil {
		q.note(outcomeNotStored, ev.Type, g.tenant, err)
		return err
	}
	q.note(of, ev.Type, g.tenant, nil)
	return nil
}

// strictTime is how long a client waits for its event to be stored.
const strictTime = 5 * time.Second
