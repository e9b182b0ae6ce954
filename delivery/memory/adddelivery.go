package memory

import (
	"context"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// AddDelivery adds a delivery to an event that was accepted without it. It is not on the schedule.
func (s *Store) AddDelivery(_ context.Context, ref delivery.WebhookRef, id uuid.UUID) (found *delivery.Event, added bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.event(eventKey{ref.Tenant, id})
	if e == nil || e.Erased || e.test || s.webhooks[ref] == nil {
		return nil, false, delivery.ErrNotFound
	}
	copied := e.Event
	if e.deliveries[ref.ID] != nil {
		return &copied, false, nil
	}
	if len(e.deliveries) >= delivery.MaxDeliveries {
		return nil, false, delivery.ErrTooManyDeliveries
	}
	e.deliveries[ref.ID] = &scheduled{Delivery: delivery.Delivery{WebhookID: ref.ID, Status: delivery.DeliveryFailed}}
	return &copied, true, nil
}
