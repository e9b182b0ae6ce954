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

// erasingPrefix begins the keys of events, in meta, that are being erased: earlier versions pass over
// them. The number of the event follows.
var erasingPrefix = []byte("erasing")

// EraseEvent removes what an event and its requests carried, and its pending deliveries. First the
// event says that it was erased: from then on, nobody writes a body of it. If one write cannot have
// all rows, the database notes which are left, so that Sweep goes on if nobody else does.
func (s *Store) EraseEvent(_ context.Context, tenant string, id uuid.UUID) error {
	var left []byte // the key of what is left
	err := s.change(func(t *txn, r *refusal) (err error) {
		if left, err = s.eraseEvent(t, tenant, id); errors.Is(err, delivery.ErrNotFound) {
			r.err, err = err, nil
		}
		return err
	})
	for more := len(left) > 0; err == nil && more; {
		err = s.write(alone, func(t *txn) (err error) {
			more, err = s.eraseMore(t, left)
			return err
		})
	}
	return err
}

// eraseEvent removes the payload of an event, its pending deliveries, and the bodies of some rows. It
// returns the key of those that are left, if there are any.
func (s *Store) eraseEvent(t *txn, tenant string, id uuid.UUID) (left []byte, err error) {
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
	var rows []uuid.UUID // the last request of each delivery
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
	left = append(slices.Clone(erasingPrefix), key...)
	if more, err := s.eraseSome(t, left, rows); err != nil || !more {
		return nil, err
	}
	return left, nil
}

// eraseMore removes some of the bodies that are left, and reports whether there are more.
func (s *Store) eraseMore(t *txn, left []byte) (more bool, err error) {
	var rows []uuid.UUID
	for b := t.bucket(metaBucket).get(left); len(b) >= 16; b = b[16:] {
		rows = append(rows, uuid.UUID(b[:16]))
	}
	return s.eraseSome(t, left, rows)
}

// eraseSome removes the bodies of some rows, and notes which are left.
func (s *Store) eraseSome(t *txn, left []byte, rows []uuid.UUID) (more bool, err error) {
	if rows, err = s.eraseRows(t, rows); err != nil {
		return false, err
	}
	meta := t.journaled(metaBucket)
	if len(rows) == 0 {
		if meta.sealed(left) != nil {
			err = meta.delete(left)
		}
		return false, err
	}
	var ids []byte
	for i := range rows {
		ids = append(ids, rows[i][:]...)
	}
	return true, meta.put(left, ids)
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
func (v *view) isErased(event uint64) bool {
	if event == 0 {
		return false
	}
	e, err := decodeEvent("", v.bucket(eventsBucket).get(number8(event)))
	return err == nil && e.Erased
}
