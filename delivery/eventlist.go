package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrUnknownPlace means that a place in a list of events is none that the store has given.
var ErrUnknownPlace = errors.New("this is no place in the list of events")

// EventFilter selects events of a tenant. A zero member selects all.
type EventFilter struct {
	EventType string
	// Since, inclusive, and Until, exclusive, are of when the event was received.
	Since, Until time.Time
	// OldestFirst has the list in the order in which the events came; otherwise it is the other
	// way round.
	OldestFirst bool
	// After is the place behind which the page begins, of a list in the same order: that of an
	// event, or the Next of a page. If it is empty, the page is the first one.
	After string
	// Limit is how many events a page may have, at least 1.
	Limit int
}

// Selects reports whether an event is selected.
func (f *EventFilter) Selects(eventType string, receivedAt time.Time) bool {
	return (f.EventType == "" || f.EventType == eventType) &&
		!receivedAt.Before(f.Since) && (f.Until.IsZero() || receivedAt.Before(f.Until))
}

// EventPage is a page of a list of events.
type EventPage struct {
	Events []ListedEvent
	// Next is the place behind which the next page begins, empty if this is the last one. A page
	// may have fewer events than it may, or none, and not be the last one.
	Next string
}

// ListedEvent is what lists have of an event.
type ListedEvent struct {
	ID                     uuid.UUID
	Type                   string
	OccurredAt, ReceivedAt time.Time
	// Deliveries is how many the event had when it was accepted.
	Deliveries int
	// Test says that it was made to test its only webhook.
	Test bool
	// Place is that of the event in a list in this order. It stays the same, but means nothing
	// to another store.
	Place string
}

// Events reads a page of a tenant's events, in the order in which they came.
func (e *Engine) Events(ctx context.Context, tenant string, filter EventFilter) (EventPage, error) {
	if err := e.ready(ctx); err != nil {
		return EventPage{}, err
	}
	return e.store.Events(ctx, tenant, filter)
}
