package delivery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

const (
	// drainTime is how long the last Detach waits for requests in flight. Common
	// service managers kill a process after 5 s.
	drainTime = 3 * time.Second
	// abortTime is how long cancelled requests may take to end.
	abortTime = 500 * time.Millisecond
	// How long to wait before a store that cannot be opened is tried again.
	openBackoff    = 100 * time.Millisecond
	maxOpenBackoff = 5 * time.Second
	// openPatience is how long a call waits for the first attempt to open the store.
	openPatience = 5 * time.Second
)

// Engine accepts events and delivers them. It outlives configurations: each attaches its
// settings and detaches them again, without disturbing requests in flight. All methods
// are safe for concurrent use.
type Engine struct {
	store      Store
	encrypter  Encrypter // the store, if it can encrypt
	eraser     Eraser    // the store, if it can tell
	observer   Observer
	newSender  func(*sender.Config) Sender
	dispatcher *dispatcher
	intake     *quota        // emits in progress, by partition and their weight
	followers  *shares       // who follows a log
	swept      chan struct{} // of capacity 1: see sweepSoon
	judge      *judge
	declaring  *declaring
	graces     chan WebhookRef // whose grace has ended: see noteGrace
	replayPace *rate.Limiter   // of the requests of replays

	subscriptions *subscriptionMemory
	expressions   *expressions

	partitions atomic.Pointer[[]*partition] // nil until the store is open for the first time

	active  atomic.Pointer[active]          // nil until the first Attach
	running atomic.Pointer[context.Context] // of the workers
	state   atomic.Pointer[state]
	tried   chan struct{} // closed after the first attempt to open the store
	try     sync.Once     // closes it

	sending, unwritten atomic.Int64 // see Stats

	sends  *inFlight       // requests in flight, until their outcomes are written
	starts *inFlight       // goroutines that send
	calls  *inFlight       // calls being served
	alive  context.Context // until Close has waited long enough
	die    context.CancelFunc

	mu       sync.Mutex
	attached []*active // the newest last
	stop     func()    // ends the workers; nil if there are none
}

// active is an attached configuration.
type active struct {
	settings Settings
	sender   Sender
	log      *zap.Logger
	secrets  secretWarnings
	refusals refusals
	prepared preparedWebhooks
	// longestTimeout of the webhooks for whose requests a lease was too short, in nanoseconds.
	longestTimeout atomic.Int64
}

// state says whether the store is open.
type state struct {
	open bool
	err  error // of the last attempt, while it is not open
}

// errStarting is why the store is not open until the first attempt has ended.
const errStarting = Reason("the store has not been opened yet")

// NewEngine makes an engine on a store. It does no I/O and starts nothing.
func NewEngine(store Store, options ...Option) *Engine {
	e := &Engine{
		store:     store,
		observer:  nobody{},
		newSender: func(c *sender.Config) Sender { return sender.New(c) },
		followers: newShares(maxFollowers, MaxTenantFollowers, maxFollowers),
		swept:     make(chan struct{}, 1),
		judge:     newJudge(),
		declaring: newDeclaring(),
		graces:    make(chan WebhookRef, maxGraces),
		tried:     make(chan struct{}),

		sends: newInFlight(), starts: newInFlight(),
		calls: newInFlight(),
	}
	e.encrypter, _ = store.(Encrypter)
	e.eraser, _ = store.(Eraser)
	e.alive, e.die = context.WithCancel(context.Background())
	e.state.Store(&state{err: errStarting})
	for _, option := range options {
		option(e)
	}
	e.subscriptions = newSubscriptionMemory(e.store, defaultSubscriptionLimits)
	e.expressions = newExpressions()
	e.replayPace = newReplayPace()
	e.dispatcher = newDispatcher(e.store)
	e.dispatcher.lease = func() time.Duration { return e.active.Load().lease() }
	e.dispatcher.send = e.start
	e.dispatcher.release = e.release
	e.dispatcher.claimEnded = func(partition int, began time.Time, err error) {
		e.allPartitions()[partition].watch.note(claiming, began, err)
	}
	return e
}

// Attach puts settings, which must be valid, in force. It starts the engine if that is
// not running, and opens the store in the background.
//
// Detach, which may be called more than once, withdraws the settings: those that were
// attached before them are in force again. The last call of detach stops sending: it
// waits a few seconds for requests in flight, cancels the rest and gives their
// deliveries back. The engine still accepts events then, for other processes to deliver.
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
	if encrypted := e.Encryption(); encrypted.KeyID != "" && !encrypted.Done {
		e.sweepSoon()
	}
	e.active.Store(a)
	e.declaring.soon()
	e.dispatcher.setLimits(a.settings.Concurrency, a.settings.ConcurrencyPerWebhook)
}

func (e *Engine) detach(a *active) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attached = slices.DeleteFunc(e.attached, func(other *active) bool { return other == a })
	if n := len(e.attached); n == 0 {
		patience, cancel := context.WithTimeout(e.alive, drainTime)
		defer cancel()
		e.stop() // waits for the last operation of the store
		e.stop = nil
		e.sends.close() // emits in progress give back what is born leased
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
	e.running.Store(&ctx)
	var workers sync.WaitGroup
	workers.Go(func() {
		if !e.openStore(ctx) {
			return
		}
		e.dispatcher.open()
		for _, p := range e.allPartitions() {
			workers.Go(func() { e.dispatcher.run(ctx, p.number) })
			workers.Go(func() { e.probe(ctx, p) })
			workers.Go(func() { e.countStored(ctx, p) })
			workers.Go(func() { e.workReplays(ctx, p) })
		}
		workers.Go(func() { e.judgeFailures(ctx) })
		workers.Go(func() { e.endGraces(ctx) })
		workers.Go(func() { e.declare(ctx) })
		e.sweep(ctx)
	})
	return func() {
		cancel()
		workers.Wait()
		e.dispatcher.close()
	}
}

// openStore opens the store, however long that takes; false if the context ended first.
func (e *Engine) openStore(ctx context.Context) bool {
	if e.state.Load().open {
		return true
	}
	again := backoff.Backoff{First: openBackoff, Most: maxOpenBackoff}
	var said string
	for {
		err := e.store.Open(ctx)
		if err == nil {
			if said != "" {
				e.log().Info("the store is open")
				e.notify(func(n Notifier) { n.StoreAvailable(AllPartitions, nil) })
			}
			e.setPartitions()
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
		if reason := err.Error(); reason != said { // health says it all the time
			if said == "" {
				e.notify(func(n Notifier) { n.StoreAvailable(AllPartitions, err) })
			}
			said = reason
			e.log().Error("cannot open the store; trying again every few seconds", zap.Error(err))
		}
		if backoff.Sleep(ctx, wait) != nil {
			return false
		}
	}
}

func (e *Engine) endTry() { e.try.Do(func() { close(e.tried) }) }

// drain waits for requests in flight, and cancels those that are left when its patience
// ends.
func (e *Engine) drain(patience context.Context) {
	if e.sends.wait(patience) {
		return
	}
	e.sends.abort()
	ctx, cancel := context.WithTimeout(e.alive, abortTime)
	defer cancel()
	if !e.sends.wait(ctx) {
		e.log().Warn("some requests did not end in time; their deliveries will be sent again when their leases end")
	}
}

// Hold keeps the engine's store open until release is called; ok is false when the
// engine is closed. Whoever serves a call must hold the engine meanwhile.
func (e *Engine) Hold() (release func(), ok bool) {
	if _, ok := e.calls.add(); !ok {
		return nil, false
	}
	return e.calls.done, true
}

// Close ends an engine that nobody is attached to: it waits, until the context ends, for
// those who hold it, and closes the store. It gives up outcomes that could not be
// written by then: their deliveries are sent again.
func (e *Engine) Close(ctx context.Context) error {
	e.calls.close()
	e.sends.close()
	e.endTry() // nobody needs to wait for the store any more
	if !e.calls.wait(ctx) {
		e.log().Warn("closing the store while calls are still using it")
	}
	e.sends.abort()
	e.die()
	e.starts.wait(ctx) // they may give deliveries back
	for _, p := range e.allPartitions() {
		p.accepts.Wait()
		p.outcomes.Wait()
		p.releases.Wait()
		if ctx.Err() == nil {
			e.tellStored(ctx, p)
		}
	}
	return e.store.Close()
}

// ready returns nil if the store is open. The first calls after a start, or after a
// reload that changed the store, wait for the first attempt to open it.
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

// Errors of Engine, in addition to those of Store.
var (
	// ErrWebhookDisabled: nothing is sent to a disabled webhook.
	ErrWebhookDisabled = errors.New("the webhook is disabled")
	// ErrDeclared: the configuration made the webhook, and it alone changes it.
	ErrDeclared = errors.New("the configuration made this webhook, and it alone changes it")
	// ErrEventGone: the request is still in the log, but its event, which has the
	// payload, has expired.
	ErrEventGone = errors.New("the event has expired")
	// ErrTooManyDeliveries: an emit would make more than MaxDeliveries deliveries.
	ErrTooManyDeliveries = fmt.Errorf("more than %d deliveries from one call", MaxDeliveries)
	// ErrFiltersTooCostly: the filters of the webhooks that want these events take too long
	// together; nothing was written.
	ErrFiltersTooCostly = errors.New("the filters of the webhooks that want these events take too long")
	// ErrOrdersTooCostly: the filters and orders of the webhooks that want these events take too
	// long together; nothing was written.
	ErrOrdersTooCostly = errors.New("the orders of the webhooks that want these events take too long together")
	// ErrOutcomeUnknown: the store did not say whether it did as asked.
	ErrOutcomeUnknown = errors.New("the store did not say whether it did as asked")
	// ErrBusy: too many operations of this kind are in progress; try again later.
	ErrBusy = errors.New("too many operations of this kind are in progress")
)
