package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// AddDelivery adds a delivery to an event that was accepted without it. It is not on the schedule.
func (s *Store) AddDelivery(_ context.Context, ref delivery.WebhookRef, id uuid.UUID) (found *delivery.Event, added bool, err error) {
	err = s.change(func(t *txn, r *refusal) (err error) {
		found, added, err = s.addDelivery(t, ref, id)
		if errors.Is(err, delivery.ErrNotFound) || errors.Is(err, delivery.ErrTooManyDeliveries) {
			r.err, err = err, nil
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return found, added, nil
}

func (s *Store) addDelivery(t *txn, ref delivery.WebhookRef, id uuid.UUID) (*delivery.Event, bool, error) {
	number, e, err := s.decryptedEvent(t.view, ref.Tenant, id)
	if err != nil {
		return nil, false, err
	}
	w := s.state.webhook(ref)
	switch {
	case w == nil || e.Erased || e.test:
		return nil, false, delivery.ErrNotFound
	case slices.Contains(e.targets, w.number):
		return &e.Event, false, nil
	case len(e.targets) >= delivery.MaxDeliveries:
		return nil, false, delivery.ErrTooManyDeliveries
	}
	events, key := t.journaled(eventsBucket), number8(number)
	value := events.get(key)
	r, err := record.DecodeEvent(value[eventHeadSize:])
	if err != nil {
		return nil, false, err
	}
	r.Targets = binary.BigEndian.AppendUint32(r.Targets, w.number)
	if err := events.put(key, record.AppendEvent(slices.Clone(value[:eventHeadSize]), r)); err != nil {
		return nil, false, err
	}
	failed := record.AppendDelivery(nil, &record.Delivery{Status: record.Failed})
	if err := packedDeliveries.set(t.journaled(deliveriesBucket), deliveryKey(number, w.number), failed); err != nil {
		return nil, false, err
	}
	return &e.Event, true, nil
}
