package embedded

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Take leases one pending delivery.
func (s *Store) Take(_ context.Context, ref delivery.WebhookRef, id uuid.UUID, lease time.Duration) (job delivery.Job, err error) {
	err = s.read(func(tx *view) error {
		number, e, err := s.storedEvent(tx, ref.Tenant, id)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		w := s.state.webhook(ref)
		if w == nil || !slices.Contains(e.targets, w.number) {
			return delivery.ErrNotFound
		}
		due, pending := w.schedule.due(number)
		if !pending {
			return delivery.ErrDeliveryEnded
		}
		d, err := record.DecodeDelivery(tx.bucket(pendingBucket).get(deliveryKey(number, w.number)))
		if err != nil {
			d = record.Delivery{} // it counts as not attempted
		}
		// A time in the future that is not that of the next attempt is the end of a lease.
		now := s.clock.now()
		behind := w.orders.waits(number)
		isNext := func(at int64) bool { return d.Attempts > 0 && s.clock.isSame(at, d.RetryAt) }
		waits := isNext(due) || behind && due == never
		if due > now.schedule && !waits {
			return delivery.ErrInFlight
		}
		e.Payload = nil
		job = delivery.Job{
			Webhook: clone(w.record), Event: &e.Event, Attempt: int(d.Attempts) + 1, LeaseEnd: now.schedule + lease.Milliseconds(),
			Ordered: d.Order != (delivery.OrderKey{}), Waits: behind,
		}
		for isNext(job.LeaseEnd) {
			job.LeaseEnd++ // or it would look like the next attempt
		}
		s.state.schedule(w, number, job.LeaseEnd, now.schedule)
		return nil
	})
	return job, err
}
