package memory

import (
	"context"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

// Complete writes one row of the log per outcome and ends or reschedules its delivery.
func (s *Store) Complete(_ context.Context, outcomes []delivery.Outcome) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range outcomes {
		s.complete(&outcomes[i])
	}
	return nil
}

// complete writes the row of one outcome, unless the row exists or its webhook does not.
func (s *Store) complete(o *delivery.Outcome) {
	r := o.Request
	w := s.webhooks[delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}]
	if w == nil || s.requests[r.ID] != nil {
		return
	}
	w.slow = r.Status != delivery.RequestSuccess && (w.slow || o.Slow)
	r.NextAttemptAt, r.RequestBody = time.Time{}, nil
	if e := s.event(eventKey{r.Tenant, r.EventID}); e != nil && e.deliveries[r.WebhookID] != nil {
		r.NextAttemptAt = end(w, e, e.deliveries[r.WebhookID], o)
		e.deliveries[r.WebhookID].last = r.ID
		if e.Erased {
			r.ResponseBody = ""
		}
	}
	s.requests[r.ID] = &r
	s.count(&r)
	s.ring.Add(follow.Item{Tenant: r.Tenant, ID: r.ID})
}

// end ends or reschedules a delivery, if its request still held the lease, or was a re-run or
// a test. It returns when the next attempt is due, zero if there is none.
func end(w *webhook, e *event, d *scheduled, o *delivery.Outcome) (next time.Time) {
	success := o.Request.Status == delivery.RequestSuccess
	if o.LeaseEnd == 0 {
		switch {
		case success:
			delete(w.pending, e)
			d.Status, d.NextAttemptAt = delivery.DeliverySuccess, time.Time{}
		case o.Request.Trigger == delivery.TriggerTest:
			d.Status = delivery.DeliveryFailed
		}
		return time.Time{}
	}
	if w.pending[e] != d || d.due != o.LeaseEnd {
		return time.Time{} // the lease was lost
	}
	d.Attempts = o.Request.Attempt
	if !success && !o.RetryAt.IsZero() {
		d.NextAttemptAt = o.RetryAt.UTC().Truncate(time.Millisecond)
		d.due = d.NextAttemptAt.UnixMilli()
		return d.NextAttemptAt
	}
	delete(w.pending, e)
	d.Status, d.NextAttemptAt = delivery.DeliveryFailed, time.Time{}
	if success {
		d.Status = delivery.DeliverySuccess
	}
	return time.Time{}
}
