package memory

import (
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// waits says whether a pending delivery is not the head of its key. Of one that ends nothing needs
// to be done for the next. Another store, with more of them, keeps a queue for each key.
func (w *webhook) waits(d *scheduled) bool {
	if d.order == (delivery.OrderKey{}) {
		return false
	}
	for _, other := range w.pending {
		if other.order == d.order && other.place < d.place {
			return true
		}
	}
	return false
}

// describe is the delivery as others see it.
func (s *Store) describe(e *event, d *scheduled) delivery.Delivery {
	described := d.Delivery
	w := s.webhooks[delivery.WebhookRef{Tenant: e.Tenant, ID: d.WebhookID}]
	if w != nil && w.pending[e] == d && w.waits(d) {
		described.NextAttemptAt = time.Time{}
	}
	return described
}
