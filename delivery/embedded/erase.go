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

// erasedPerWrite is how many rows of an erased event lose their bodies at a time.
const erasedPerWrite = 200

// EraseEvent removes what an event and its requests carried, and its pending deliveries. First the
// event says that it was erased: from then on, nobody writes a body of it.
func (s *Store) EraseEvent(_ context.Context, tenant string, id uuid.UUID) error {
	var rows []uuid.UUID // the last request of each delivery
	err := s.change(func(t *txn, r *refusal) (err error) {
		if rows, err = s.eraseEvent(t, tenant, id); errors.Is(err, delivery.ErrNotFound) {
			r.err, err = err, nil
		}
		return err
	})
	for err == nil && len(rows) > 0 {
		err = s.write(alone, func(t *txn) (err error) {
			rows, err = s.eraseRows(t, rows)
			return err
		})
	}
	return err
}

// eraseEvent removes the payload of an event and its pending deliveries, and returns the last request
// of each delivery.
func (s *Store) eraseEvent(t *txn, tenant string, id uuid.UUID) (rows []uuid.UUID, err error) {
	number, e, err := s.storedEvent(t.view, tenant, id)
	if err != nil {
		return nil, err
	}
	events := t.journaled(eventsBucket)
	key := number8(number)
	head, err := decodeEventHead(events.get(key))
	if err != nil {
		return nil, err
	}
	if !e.Erased {
		var targets []byte
		for _, w := range e.targets {
			targets = binary.BigEndian.AppendUint32(targets, w)
		}
		if err := events.put(key, appendErased(nil, &head, &e.Event, e.test, targets)); err != nil {
			return nil, err
		}
	}
	if err := s.mustWipe(t); err != nil {
		return nil, err
	}
	ended := endedOf(t.view, number)
	for _, w := range e.targets {
		last, err := s.endErased(t, number, w, ended)
		if err != nil {
			return nil, err
		}
		if last != uuid.Nil {
			rows = append(rows, last)
		}
	}
	return rows, nil
}

// endErased takes a delivery of an erased event off the schedule, and returns its last request. It
// has failed if it was attempted.
func (s *Store) endErased(t *txn, event uint64, number uint32, ended endedDeliveries) (last uuid.UUID, err error) {
	key, pending := deliveryKey(event, number), t.journaled(pendingBucket)
	value := pending.get(key)
	t.committed = append(t.committed, func() {
		if w := s.state.byNumber[number]; w != nil {
			s.state.unschedule(w, event, t.at.schedule)
		}
	})
	if value == nil {
		return ended[number].Last, nil
	}
	d, err := record.DecodeDelivery(value)
	if err != nil {
		d = record.Delivery{Status: record.Pending}
	}
	if err := pending.delete(key); err != nil || d.Last == uuid.Nil {
		return uuid.Nil, err
	}
	if d.RetryAt = 0; d.Attempts > 0 {
		d.Status = record.Failed
	}
	return d.Last, packedDeliveries.set(t.journaled(deliveriesBucket), key, record.AppendDelivery(nil, &d))
}

// eraseRows removes the bodies of some rows and of those before them of the same deliveries, and
// returns where to go on.
func (s *Store) eraseRows(t *txn, rows []uuid.UUID) (left []uuid.UUID, err error) {
	if err := s.mustWipe(t); err != nil {
		return nil, err
	}
	requests := t.journaled(requestsBucket)
	for n := 0; len(rows) > 0 && n < erasedPerWrite; n++ {
		id := rows[0]
		value := slices.Clone(requests.get(id[:]))
		head, ok := isRowHead(value)
		if id == uuid.Nil || !ok {
			rows = rows[1:]
			continue
		}
		if size := rowHeadSize + int(binary.BigEndian.Uint32(value[rowHeadSize-4:])); size < len(value) {
			if err := requests.put(id[:], value[:size]); err != nil {
				return nil, err
			}
		}
		rows[0] = head.previous
	}
	return rows, nil
}

// isErased reports whether an event was erased.
func (c *completion) isErased(event uint64) bool {
	if event == 0 {
		return false
	}
	e, err := decodeEvent("", c.txn.bucket(eventsBucket).get(number8(event)))
	return err == nil && e.Erased
}
