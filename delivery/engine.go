package delivery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/groupcommit"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

const (
	// drainTime is how long the last Detach waits for requests in flight. It is
	// less than the 5 s after which common service managers kill.
	drainTime = 3 * time.Second
	// abortTime is how long requests that were broken off may take to end.
	abortTime = 500 * time.Millisecond
	// How long to wait before a store that cannot be opened is tried again.
	openBackoff    = 100 * time.Millisecond
	maxOpenBackoff = 5 * time.Second
	// openPatience is how long a call waits for the first try to open the store.
	openPatience = 5 * time.Second
)

// Engine accepts events and delivers them. It outlives configurations: each
// attaches its settings and detaches them again, and requests in flight do not
// notice. All methods are safe for concurrent use.
type Engine struct {
	store      Store
	observer   Observer
	newSender  func(*sender.Config) Sender
	dispatcher *dispatcher
	webhooks   webhookCache
	accepts    groupcommit.Group[*emission]
	outcomes   groupcommit.Group[*finished]
	intake     *quota        // emits in progress, by their weight
	sendsNow   *quota        // re-runs and tests in flight
	followers  *quota        // who follows a log
	swept      chan struct{} // of capacity 1: something was deleted
	changing   sync.Mutex    // one change of a webhook at a time, here

	active atomic.Pointer[active] // nil until the first Attach
	state  atomic.Pointer[state]
	tried  chan struct{} // closed once the first try to open the store has ended
	try    sync.Once     // closes it

	sending, unwritten atomic.Int64 // as Stats tells them

	sends *inFlight       // requests in flight, until their outcomes are written
	calls *inFlight       // calls being served
	alive context.Context // until Close has waited long enough
	die   context.CancelFunc

	mu       sync.Mutex
	attached []*active // the newest last
	stop     func()    // ends the workers; nil if there are none
}

// active is what an attached configuration brings.
type active struct {
	settings Settings
	sender   Sender
	log      *zap.Logger
}

// state says whether the store is open.
type state struct {
	open bool
	err  error // of the last try, while it is not
}

// errStarting is why the store is not open before the first try has ended.
var errStarting = errors.New("the store has not been opened yet")

// NewEngine makes an engine on a store. It does no I/O and starts nothing.
func NewEngine(store Store, options ...Option) *Engine {
	e := &Engine{
		store:     store,
		observer:  nobody{},
		newSender: func(c *sender.Config) Sender { return sender.New(c) },
		intake:    newQuota(maxIntake, maxIntake),
		sendsNow:  newQuota(maxSendNow, maxTenantSendNow),
		followers: newQuota(math.MaxInt, maxFollowers),
		swept:     make(chan struct{}, 1),
		tried:     make(chan struct{}),

		sends: newInFlight(),
		calls: newInFlight(),
	}
	e.alive, e.die = context.WithCancel(context.Background())
	e.state.Store(&state{err: errStarting})
	for _, option := range options {
		option(e)
	}
	e.webhooks.load = e.store.Webhooks
	e.accepts.Limit = limitEmissions
	e.accepts.Commit = e.accept
	e.outcomes.Limit = limitOutcomes
	e.outcomes.Commit = e.complete
	e.dispatcher = newDispatcher(e.store)
	e.dispatcher.lease = func() time.Duration { return e.settings().lease() }
	e.dispatcher.send = e.start
	e.dispatcher.release = e.release
	e.dispatcher.claimFailed = func(err error) { e.log().Warn("cannot ask the store for due deliveries", zap.Error(err)) }
	return e
}

// Attach makes the settings the ones in force, and starts the engine if it does
// not run: the store is opened in the background. The settings must be valid.
//
// Detach, which may be called more than once, takes them away again: those
// attached before are back in force. The last one out stops sending: it waits a
// few seconds for requests in flight, breaks off the rest and hands their
// deliveries back. The engine then still accepts events, for others to deliver.
func (e *Engine) Attach(s Settings, log *zap.Logger) (detach func()) {
	a := &active{settings: s, log: log}
	e.mu.Lock()
	defer e.mu.Unlock()
	config := s.sender()
	if n := len(e.attached); n > 0 && config.Equal(e.attached[n-1].settings.sender()) {
		a.sender = e.attached[n-1].sender
	} else {
		a.sender = e.newSender(config)
	}
	e.attached = append(e.attached, a)
	e.activate(a)
	if e.stop == nil {
		e.sends.open()
		e.stop = e.run()
	}
	var once sync.Once
	return func() { once.Do(func() { e.detach(a) }) }
}

// activate puts settings in force. The caller holds e.mu.
func (e *Engine) activate(a *active) {
	if a.settings.InForce != nil {
		a.settings.InForce()
	}
	e.active.Store(a)
	e.dispatcher.setLimits(a.settings.Concurrency, a.settings.ConcurrencyPerWebhook)
}

func (e *Engine) detach(a *active) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attached = slices.DeleteFunc(e.attached, func(other *active) bool { return other == a })
	if n := len(e.attached); n == 0 {
		patience, cancel := context.WithTimeout(e.alive, drainTime)
		defer cancel()
		e.stop() // takes as long as what it last asked the store
		e.stop = nil
		e.sends.close() // emits in progress hand back what is born leased
		e.drain(patience)
	} else if newest := e.attached[n-1]; newest != e.active.Load() {
		e.activate(newest)
	}
	if !slices.ContainsFunc(e.attached, func(other *active) bool { return other.sender == a.sender }) {
		a.sender.Close()
	}
}

// run starts the workers and returns what ends them.
func (e *Engine) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	workers.Go(func() {
		if !e.openStore(ctx) {
			return
		}
		workers.Go(func() { e.sweep(ctx) })
		e.dispatcher.run(ctx)
	})
	return func() {
		cancel()
		workers.Wait()
	}
}

// openStore opens the store, however long that takes; false if ctx ended first.
func (e *Engine) openStore(ctx context.Context) bool {
	if e.state.Load().open {
		return true
	}
	again := backoff.Backoff{First: openBackoff, Most: maxOpenBackoff}
	for {
		err := e.store.Open(ctx)
		if err == nil {
			e.state.Store(&state{open: true})
			e.endTry()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		e.state.Store(&state{err: err})
		e.endTry()
		wait := again.Next()
		e.log().Error("cannot open the store, trying again", zap.Error(err), zap.Duration("in", wait))
		if backoff.Sleep(ctx, wait) != nil {
			return false
		}
	}
}

func (e *Engine) endTry() { e.try.Do(func() { close(e.tried) }) }

// drain waits for the requests in flight, and breaks off those that are left when
// its patience ends.
func (e *Engine) drain(patience context.Context) {
	if e.sends.wait(patience) {
		return
	}
	e.sends.abort()
	ctx, cancel := context.WithTimeout(e.alive, abortTime)
	defer cancel()
	if !e.sends.wait(ctx) {
		e.log().Warn("some requests did not end in time; their deliveries fall due again when their leases end")
	}
}

// Hold keeps the engine's store open until release is called; ok is false when
// the engine is closed. Whoever serves a call holds the engine meanwhile.
func (e *Engine) Hold() (release func(), ok bool) {
	if _, ok := e.calls.add(); !ok {
		return nil, false
	}
	return e.calls.done, true
}

// Close ends an engine that nobody is attached to: it waits for those who hold
// it, until the context ends, and closes the store. Outcomes that could not be
// written by now are given up: their deliveries are sent again.
func (e *Engine) Close(ctx context.Context) error {
	e.calls.close()
	e.sends.close()
	e.endTry() // nobody waits for one any more
	if !e.calls.wait(ctx) {
		e.log().Warn("closing the store while it is in use")
	}
	e.sends.abort()
	e.die()
	e.accepts.Wait()
	e.outcomes.Wait()
	return e.store.Close()
}

// Health returns nil if the engine can do its work now, and otherwise a sentence
// that says why not, for an admin.
func (e *Engine) Health(ctx context.Context) error {
	if err := e.opened(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := e.store.Ping(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	return nil
}

// ready returns nil if the store is open. The first calls after a start, or
// after a reload that changed the store, wait for the first try to open it.
func (e *Engine) ready(ctx context.Context) error {
	select {
	case <-e.tried:
	default:
		ctx, cancel := context.WithTimeout(ctx, openPatience)
		defer cancel()
		select {
		case <-e.tried:
		case <-ctx.Done():
		}
	}
	return e.opened()
}

// opened returns nil if the store is open.
func (e *Engine) opened() error {
	s := e.state.Load()
	switch {
	case s.open:
		return nil
	case errors.Is(s.err, ErrUnavailable):
		return s.err
	default:
		return fmt.Errorf("%w: %w", ErrUnavailable, s.err)
	}
}

func (e *Engine) settings() *Settings { return &e.active.Load().settings }

func (e *Engine) log() *zap.Logger {
	if a := e.active.Load(); a != nil {
		return a.log
	}
	return zap.NewNop()
}

// errors of Engine beside those of Store.
var (
	// ErrWebhookDisabled: a disabled webhook is sent nothing.
	ErrWebhookDisabled = errors.New("the webhook is disabled")
	// ErrEventGone: the request is still in the log but its event, and with it
	// what was sent, is not.
	ErrEventGone = errors.New("the event has gone")
	// ErrTooManyDeliveries: an emit would make more than MaxDeliveries.
	ErrTooManyDeliveries = fmt.Errorf("more than %d deliveries from one call", MaxDeliveries)
	// ErrBusy: too much of this is going on; try again in a moment.
	ErrBusy = errors.New("too many at once")
)
