package delivery

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// missedEvents is how many events one step of the search for those that a webhook has missed looks at.
const missedEvents = 100

// searchMissed is searchReplay for events that a webhook wants now, and of which it has no delivery. It
// goes through them in the order in which they came, up to when the replay was asked for.
func (e *Engine) searchMissed(ctx context.Context, r *Replay) (found []ReplayedDelivery, next string, err error) {
	f := EventFilter{
		EventType: r.Filter.EventType, Since: r.Filter.Since, Until: r.CreatedAt(), OldestFirst: true, After: r.Place, Limit: missedEvents,
	}
	if until := r.Filter.Until; !until.IsZero() && until.Before(f.Until) {
		f.Until = until
	}
	ref := WebhookRef{r.Tenant, r.Filter.WebhookID}
	var w *Webhook
	var page EventPage
	err = e.inStep(ctx, r.Tenant, func() (err error) {
		if w, _, err = e.store.Webhook(ctx, ref); err == nil {
			page, err = e.store.Events(ctx, r.Tenant, f)
		}
		return err
	})
	if errors.Is(err, ErrNotFound) { // the webhook was deleted
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	for i := range page.Events {
		if listed := &page.Events[i]; !listed.Test && w.hasType(listed.Type) {
			missed, err := e.hasMissed(ctx, w, listed.ID)
			if err != nil {
				return nil, "", err
			}
			if missed {
				found = append(found, ReplayedDelivery{WebhookID: w.ID, EventID: listed.ID})
			}
		}
	}
	return found, page.Next, nil
}

// hasMissed says whether a webhook wants an event by its filter, and has no delivery of it.
func (e *Engine) hasMissed(ctx context.Context, w *Webhook, event uuid.UUID) (missed bool, err error) {
	var ev *Event
	err = e.inStep(ctx, w.Tenant, func() (err error) {
		ev, err = e.missedEvent(ctx, w.Ref(), event)
		return err
	})
	if err != nil || ev == nil || w.Filter == "" {
		return ev != nil, err
	}
	f := filtering{Engine: e, ctx: ctx, tenant: w.Tenant}
	defer f.done()
	if err := f.wait(); err != nil {
		return false, err
	}
	return f.passes(&subscription{id: w.ID, filter: w.Filter}, ev.Input())
}

// missedEvent reads an event, nil if there is nothing to send of it or if a webhook has a delivery of
// it. One that a replay has added, and of which nothing was sent, is as if it were not there.
func (e *Engine) missedEvent(ctx context.Context, ref WebhookRef, id uuid.UUID) (*Event, error) {
	ev, deliveries, err := e.store.Event(ctx, ref.Tenant, id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil || ev.Erased {
		return nil, err
	}
	at := slices.IndexFunc(deliveries, func(d Delivery) bool { return d.WebhookID == ref.ID })
	if at < 0 {
		return ev, nil
	}
	if d := &deliveries[at]; d.Status != DeliveryFailed || d.Attempts > 0 {
		return nil, nil
	}
	page, err := e.store.Requests(ctx, ref.Tenant, RequestFilter{WebhookID: ref.ID, EventID: id, Limit: 1})
	if err != nil || len(page.Requests) > 0 && page.Requests[0].Error != sender.Interrupted {
		return nil, err
	}
	return ev, nil
}

// toReplay reads what it takes to send a delivery again. One that has no request yet is of an event
// that its webhook has missed: it is added to the event first. There is no event if there is nothing to
// send any more.
func (e *Engine) toReplay(ctx context.Context, tenant string, d ReplayedDelivery) (*Webhook, *Event, error) {
	if d.Last != uuid.Nil {
		return e.store.Resend(ctx, tenant, d.Last)
	}
	ref := WebhookRef{tenant, d.WebhookID}
	w, _, err := e.store.Webhook(ctx, ref)
	if err != nil || !w.Enabled {
		return w, nil, err
	}
	ev, added, err := e.store.AddDelivery(ctx, ref, d.EventID)
	switch {
	case errors.Is(err, ErrTooManyDeliveries):
		return w, nil, nil
	case err == nil && !added: // an earlier try may have added it
		ev, err = e.missedEvent(ctx, ref, d.EventID)
	}
	return w, ev, err
}
