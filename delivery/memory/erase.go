package memory

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// EraseEvent removes what an event and its requests carried, and its pending deliveries.
func (s *Store) EraseEvent(_ context.Context, tenant string, id uuid.UUID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.event(eventKey{tenant, id})
	if e == nil {
		return delivery.ErrNotFound
	}
	e.Payload, e.Erased = nil, true
	for webhook, d := range e.deliveries {
		if w := s.webhooks[delivery.WebhookRef{Tenant: tenant, ID: webhook}]; w != nil {
			delete(w.pending, e)
		}
		if d.Status == delivery.DeliveryPending {
			if d.NextAttemptAt = (time.Time{}); d.Attempts > 0 {
				d.Status = delivery.DeliveryFailed
			}
		}
	}
	for _, r := range s.requests {
		if r.Tenant == tenant && r.EventID == id {
			r.ResponseBody = ""
		}
	}
	return nil
}
