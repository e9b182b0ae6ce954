package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Event reads an event and its deliveries.
func (s *Store) Event(_ context.Context, tenant string, id uuid.UUID) (*delivery.Event, []delivery.Delivery, error) {
	var e *storedEvent
	var deliveries []delivery.Delivery
	var number uint64
	var targets []uint32 // that are left
	err := s.inSteps(func(tx *view, left *int) (more bool, err error) {
		if e == nil {
			if number, e, err = s.decryptedEvent(tx, tenant, id); err != nil {
				return false, err
			}
			targets = e.targets
		}
		ended := endedOf(tx, number)
		for ; len(targets) > 0 && *left > 0; targets = targets[1:] {
			*left--
			ref, ok := s.reference(targets[0])
			if !ok {
				continue
			}
			if d, ok := s.stateOfDelivery(tx, number, e.test, targets[0], ended); ok && (!e.Erased || d.Status != record.Pending) {
				deliveries = append(deliveries, d.Of(&e.Event, e.test, ref.ID))
			}
		}
		return len(targets) > 0, nil
	})
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(deliveries, func(a, b delivery.Delivery) int { return bytes.Compare(a.WebhookID[:], b.WebhookID[:]) })
	return &e.Event, deliveries, nil
}

// storedEvent reads an event and its number.
func (s *Store) storedEvent(tx *view, tenant string, id uuid.UUID) (uint64, *storedEvent, error) {
	s.mu.Lock()
	t := s.state.tenants[tenant]
	s.mu.Unlock()
	if t == nil {
		return 0, nil, delivery.ErrNotFound
	}
	number, ok := findEvent(tx.bucket(idsBucket), t.number, id)
	if !ok {
		return 0, nil, delivery.ErrNotFound
	}
	value := tx.bucket(eventsBucket).get(number)
	if value == nil {
		return 0, nil, delivery.ErrNotFound
	}
	head, err := decodeEventHead(value)
	if err == nil && head.expires <= s.clock.now().wall {
		return 0, nil, delivery.ErrNotFound
	}
	e, err := decodeEvent(tenant, value)
	if err != nil {
		tx.bucket(eventsBucket).undecodable(number)
		return 0, nil, delivery.ErrNotFound
	}
	return eventNumber(number), e, nil
}

// decryptedEvent is storedEvent with the payload.
func (s *Store) decryptedEvent(tx *view, tenant string, id uuid.UUID) (uint64, *storedEvent, error) {
	number, e, err := s.storedEvent(tx, tenant, id)
	if err != nil {
		return 0, nil, err
	}
	err = s.encryption.DecryptEvent(&e.Event)
	if errors.Is(err, record.ErrUnreadable) {
		tx.bucket(eventsBucket).undecodable(number8(number))
		err = delivery.ErrNotFound
	}
	return number, e, err
}

func eventNumber(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

// endedDeliveries are the deliveries of an event that are not pending, by the numbers of their
// webhooks.
type endedDeliveries map[uint32]record.Delivery

// endedOf reads the deliveries of an event that are not pending.
func endedOf(tx *view, event uint64) endedDeliveries {
	ended := make(endedDeliveries)
	packedDeliveries.eachWith(tx.bucket(deliveriesBucket), number8(event), func(key, value []byte) {
		_, webhook := splitDeliveryKey(key)
		ended[webhook], _ = record.DecodeDelivery(value) // it has the right length
	})
	return ended
}

// stateOfDelivery reads where a delivery stands. It reports false for one that has ended
// if the record of how it did is lost.
func (s *Store) stateOfDelivery(tx *view, event uint64, test bool, webhook uint32, ended endedDeliveries) (record.Delivery, bool) {
	key, pending := deliveryKey(event, webhook), tx.bucket(pendingBucket)
	if value := pending.get(key); value != nil {
		d, err := record.DecodeDelivery(value)
		if err == nil {
			d.Waits = d.Order != (delivery.OrderKey{}) && s.waits(event, webhook)
			return d, true
		}
		pending.undecodable(key)
	}
	if d, ok := ended[webhook]; ok {
		return d, true
	}
	return record.Delivery{Status: record.Pending}, test || s.isScheduled(event, webhook)
}

// isScheduled reports whether a delivery is on the schedule.
func (s *Store) isScheduled(event uint64, webhook uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || s.state.byNumber[webhook] == nil {
		return false
	}
	_, ok := s.state.byNumber[webhook].schedule.due(event)
	return ok
}
