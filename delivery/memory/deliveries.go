package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Standing says how the deliveries stand whose last requests are among some rows.
func (s *Store) Standing(_ context.Context, tenant string, rows []delivery.Request) ([]delivery.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]delivery.Delivery, len(rows))
	for i := range rows {
		e := s.event(eventKey{tenant, rows[i].EventID})
		if e == nil {
			continue
		}
		if d := e.deliveries[rows[i].WebhookID]; d != nil && d.last == rows[i].ID {
			all[i] = s.describe(e, d)
		}
	}
	return all, nil
}

// untriedPage is how many deliveries Untried returns.
const untriedPage = 100

// Untried reads deliveries of a webhook that have not been attempted, by the ids of their events.
func (s *Store) Untried(_ context.Context, ref delivery.WebhookRef, after string) (page delivery.UntriedPage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.webhooks[ref]
	if w == nil {
		return page, nil
	}
	s.dropExpired(w)
	for _, e := range slices.SortedFunc(maps.Keys(w.pending), func(a, b *event) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
		if place := string(e.ID[:]); w.pending[e].Attempts == 0 && place > after {
			if len(page.Deliveries) == untriedPage {
				page.Next = page.Deliveries[untriedPage-1].Place
				return page, nil
			}
			page.Deliveries = append(page.Deliveries, delivery.Untried{EventID: e.ID, EventType: e.Type, ReceivedAt: e.ReceivedAt, Place: place, Waits: w.waits(w.pending[e])})
		}
	}
	return page, nil
}

// Take leases one pending delivery.
func (s *Store) Take(_ context.Context, ref delivery.WebhookRef, id uuid.UUID, lease time.Duration) (delivery.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, w := s.event(eventKey{ref.Tenant, id}), s.webhooks[ref]
	if e == nil || w == nil || e.deliveries[ref.ID] == nil {
		return delivery.Job{}, delivery.ErrNotFound
	}
	d := w.pending[e]
	if d == nil {
		return delivery.Job{}, delivery.ErrDeliveryEnded
	}
	// A time in the future that is not that of the next attempt is the end of a lease.
	now := s.Now()
	if waits := d.Attempts > 0 && d.NextAttemptAt.UnixMilli() == d.due; d.due > now.UnixMilli() && !waits {
		return delivery.Job{}, delivery.ErrInFlight
	}
	leaseEnd := now.Add(lease).UnixMilli()
	if leaseEnd == d.due {
		leaseEnd++ // or it would look like the next attempt
	}
	d.due = leaseEnd
	hook, taken := w.Webhook, e.Event
	taken.Payload = nil
	return delivery.Job{Webhook: &hook, Event: &taken, Attempt: d.Attempts + 1, LeaseEnd: d.due, Ordered: d.order != (delivery.OrderKey{}), Waits: w.waits(d)}, nil
}
