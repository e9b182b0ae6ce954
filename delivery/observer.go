package delivery

import (
	"context"
	"time"
)

// Observer is told what an engine does, to count it. Its methods are called on
// the way of every event and request: they return at once, and are safe for
// concurrent use.
type Observer interface {
	// EventsAccepted: so many events of an emit are stored now, and so many were
	// there before. Test events are not emitted.
	EventsAccepted(stored, duplicates int)
	// RequestStarts: a claimed delivery is sent so much later than it fell due.
	// Slow says that its webhook did not answer in time before, so that its
	// deliveries wait for one another.
	RequestStarts(late time.Duration, slow bool)
	// RequestEnded: a request was made, and took so long.
	RequestEnded(trigger Trigger, status RequestStatus, took time.Duration)
	// DeliveryFailed: that was the last attempt.
	DeliveryFailed()
	// StoreFailed: an operation, one of StoreOperations, did not do as asked.
	StoreFailed(operation string)
}

// Option changes how an engine is made.
type Option func(*Engine)

// WithObserver has an observer told what the engine does.
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
func (nobody) StoreFailed(string)                                 {}

// Stats is what an engine has in hand.
type Stats struct {
	// InFlight is how many requests are being made, re-runs and tests included.
	InFlight int64
	// Unwritten is how many outcomes wait to be written.
	Unwritten int64
}

// Stats tells what the engine has in hand now.
func (e *Engine) Stats() Stats {
	return Stats{InFlight: e.sending.Load(), Unwritten: e.unwritten.Load()}
}

// Pending counts the pending deliveries in the store, those of other processes
// included.
func (e *Engine) Pending(ctx context.Context) (int64, error) {
	if err := e.opened(); err != nil {
		return 0, err
	}
	return e.store.Pending(ctx)
}
