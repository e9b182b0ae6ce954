package memory

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Accept stores the events of each call and schedules their deliveries.
func (s *Store) Accept(_ context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]delivery.Accepted, len(batch.Calls))
	for i := range batch.Calls {
		results[i] = s.accept(&batch.Calls[i], &batch)
	}
	return results
}

// accept stores the events of one call, unless it is stale.
func (s *Store) accept(call *delivery.AcceptCall, batch *delivery.AcceptBatch) delivery.Accepted {
	if s.versions[call.Tenant] != call.Version {
		return delivery.Accepted{Err: delivery.ErrStale}
	}
	now := s.Now()
	result := delivery.Accepted{
		At:       now.UTC().Truncate(time.Millisecond),
		LeaseEnd: now.Add(batch.Lease).UnixMilli(),
	}
	for i := range call.Events {
		e := &call.Events[i]
		key := eventKey{call.Tenant, e.ID}
		// If the result of a call was lost, the call is repeated with the same nonce.
		switch known := s.event(key); {
		case known == nil:
			stored := s.schedule(call, e, &result)
			stored.nonce, stored.place = call.Nonce, i
			stored.expires = now.Add(batch.Retention + delivery.EventGrace)
			s.events[key] = stored
			result.Events = append(result.Events, delivery.AcceptedEvent{Deliveries: len(stored.deliveries)})
		case known.nonce == call.Nonce && known.place == i:
			result.Events = append(result.Events, delivery.AcceptedEvent{Repeated: true, Deliveries: known.accepted})
		default:
			result.Events = append(result.Events, delivery.AcceptedEvent{Duplicate: true})
		}
	}
	return result
}

// schedule makes an event and schedules its deliveries. The delivery of a test is not
// scheduled: whoever accepts the test sends it.
func (s *Store) schedule(call *delivery.AcceptCall, e *delivery.AcceptEvent, result *delivery.Accepted) *event {
	stored := &event{
		Event: delivery.Event{
			Tenant: call.Tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt,
			ReceivedAt: result.At, Payload: e.Payload,
		},
		deliveries: make(map[uuid.UUID]*scheduled), accepted: len(e.Targets), test: e.Test,
	}
	s.arrived++
	stored.number = s.arrived
	for _, target := range e.Targets {
		d := &scheduled{Delivery: delivery.Delivery{WebhookID: target.Webhook, Status: delivery.DeliveryPending}}
		stored.deliveries[target.Webhook] = d
		w := s.webhooks[delivery.WebhookRef{Tenant: call.Tenant, ID: target.Webhook}]
		if e.Test || w == nil {
			continue
		}
		d.NextAttemptAt, d.due = result.At, result.At.UnixMilli()
		s.places++
		d.order, d.place = target.Order, s.places
		switch {
		case !target.Lease:
		case w.Enabled && !w.slow && w.RateLimit == nil:
			d.due = result.LeaseEnd
		case !slices.Contains(result.Unleased, target.Webhook):
			result.Unleased = append(result.Unleased, target.Webhook)
		}
		w.pending[stored] = d
	}
	return stored
}
