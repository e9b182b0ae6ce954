package delivery

import (
	"context"
	"time"
)

// Observer counts what an engine does. Its methods are called for every event and
// request, so they must return at once and be safe for concurrent use.
type Observer interface {
	// EventsAccepted: an emit has stored events, beside some that were duplicates.
	// Test events do not count.
	EventsAccepted(stored, duplicates int)
	// RequestStarts: a claimed delivery is sent, so much later than it fell due.
	// Slow means that its webhook did not respond in time before, so that its
	// deliveries wait for each other.
	RequestStarts(late time.Duration, slow bool)
	// RequestEnded: a request has ended, and took so long.
	RequestEnded(trigger Trigger, status RequestStatus, took time.Duration)
	// DeliveryFailed: the last attempt of a delivery has failed, or it was canceled.
	DeliveryFailed()
	// FilterFailed: the filter of a webhook could not be evaluated for an event, which does not
	// go there.
	FilterFailed()
	// OrderFailed: the order of a webhook could not be evaluated for an event, which has the text "".
	OrderFailed()
	// WebhookDisabled: a webhook was disabled, and not by an admin.
	WebhookDisabled(reason DisabledReason)
	// StoreFailed: an operation of the store, one of StoreOperations, has failed.
	StoreFailed(operation string)
}

// Option changes how an engine is made.
type Option func(*Engine)

// WithObserver makes an engine report to an observer.
func WithObserver(o Observer) Option {
	return func(e *Engine) {
		e.observer = o
		e.store = &observedStore{Store: e.store, observer: o}
	}
}

// nobody observes nothing.
type nobody struct{}

func (nobody) EventsAccepted(int, int)                            {}
func (nobody) RequestStarts(time.Duration, bool)                  {}
func (nobody) RequestEnded(Trigger, RequestStatus, time.Duration) {}
func (nobody) DeliveryFailed()                                    {}
func (nobody) FilterFailed()                                      {}
func (nobody) OrderFailed()                                       {}
func (nobody) WebhookDisabled(DisabledReason)                     {}
func (nobody) StoreFailed(string)                                 {}

// Stats is the work that an engine has in progress.
type Stats struct {
	// InFlight is how many requests are being made, re-runs and tests included.
	InFlight int64
	// Unwritten is how many outcomes have not been written yet.
	Unwritten int64
}

// Stats returns the work in progress now.
func (e *Engine) Stats() Stats {
	return Stats{InFlight: e.sending.Load(), Unwritten: e.unwritten.Load()}
}

// Pending counts the pending deliveries in the store, which other processes may share.
func (e *Engine) Pending(ctx context.Context) (int64, error) {
	if err := e.opened(); err != nil {
		return 0, err
	}
	return e.store.Pending(ctx)
}
