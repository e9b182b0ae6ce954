package embedded

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// The most that one step of housekeeping removes, so that it delays nobody.
const (
	sweepKeys  = 500
	sweepBytes = 4 << 20
)

// Sweep does one step of housekeeping.
func (s *Store) Sweep(ctx context.Context, retention time.Duration) (more bool, err error) {
	err = s.write(alone, func(t *txn) error {
		oldest := t.at.wall - retention.Milliseconds()
		if err := t.flush(); err != nil {
			return err
		}
		step := sweep{store: s, txn: t}
		if err := step.deleted(); err != nil {
			return err
		}
		if err := step.requests(oldest); err != nil {
			return err
		}
		if err := step.events(oldest - delivery.EventGrace.Milliseconds()); err != nil {
			return err
		}
		if err := step.audits(oldest); err != nil {
			return err
		}
		if err := step.received(); err != nil {
			return err
		}
		if err := step.erasing(); err != nil {
			return err
		}
		if err := step.replays(oldest); err != nil {
			return err
		}
		if err := step.packed(); err != nil {
			return err
		}
		if err := step.counts(); err != nil {
			return err
		}
		more = step.done() || step.unfinished
		// A cursor that moves backwards stops at empty pages, which exist until the
		// commit.
		t.whole = true
		return nil
	})
	if err != nil {
		return false, err
	}
	again, err := s.encryption.Step(s.encryptAgain)
	if more = more || again; more || err != nil {
		return more, err
	}
	return s.wipeSome(ctx) // once all else is removed
}

// isOld reports whether a request began before a time.
func isOld(id []byte, oldest int64) bool {
	return delivery.IDTime(uuid.UUID(id)).UnixMilli() < oldest
}

// sweep is one step in its transaction.
type sweep struct {
	store       *Store
	txn         *txn
	keys, bytes int
	unfinished  bool // there are tenants that the step has not looked at
	// The keys of packed records to remove.
	log, deliveries, ids, arrived []byte
}

// done reports whether the step has done as much as it may.
func (s *sweep) done() bool { return s.full() || s.bytes >= sweepBytes }

// full reports whether the step has removed as many keys as it may: some may be left.
func (s *sweep) full() bool { return s.keys >= sweepKeys }

// remove deletes keys of a bucket. The caller must have copied them: a cursor's key is
// valid only until something is written.
func (s *sweep) remove(bucket []byte, keys ...[]byte) error {
	b := s.txn.journaled(bucket)
	for _, k := range keys {
		if err := b.delete(k); err != nil {
			return err
		}
		s.keys++
	}
	return nil
}

// keysFrom gives keys of a bucket with a prefix, as many as the step may still remove.
func (s *sweep) keysFrom(bucket, prefix []byte) (keys [][]byte) {
	c := s.txn.bucket(bucket).cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix) && s.keys+len(keys) < sweepKeys; k, _ = c.Next() {
		keys = append(keys, slices.Clone(k))
	}
	return keys
}

// deleted removes what belonged to deleted webhooks.
func (s *sweep) deleted() error {
	for number, pending := range s.store.state.gone {
		if err := s.pendingOf(number, pending); err != nil {
			return err
		}
		for _, id := range s.rowsOf(webhookScope(number)) {
			if err := s.request(id); err != nil {
				return err
			}
		}
		if s.full() {
			return nil // the next step finds the webhook again
		}
		if err := s.remove(goneBucket, number4(number)); err != nil {
			return err
		}
		s.txn.committed = append(s.txn.committed, func() { delete(s.store.state.gone, number) })
	}
	return nil
}

// rowsOf gives rows of a log, as many as the step may still remove, or a few more.
func (s *sweep) rowsOf(of scope) (ids []uuid.UUID) {
	c := s.txn.bucket(logBucket).cursor()
	for k, v := c.Seek(of[:]); bytes.HasPrefix(k, of[:]) && s.keys+len(ids) < sweepKeys; k, v = c.Next() {
		packedLog.each(k, v, func(key, _ []byte) { ids = append(ids, uuid.UUID(key[kindSize:])) })
	}
	return ids
}

// pendingOf removes the pending deliveries of a deleted webhook.
func (s *sweep) pendingOf(number uint32, pending []uint64) error {
	n := min(len(pending), max(0, sweepKeys-s.keys))
	for _, event := range pending[:n] {
		if err := s.remove(pendingBucket, deliveryKey(event, number)); err != nil {
			return err
		}
	}
	s.txn.committed = append(s.txn.committed, func() { s.store.state.gone[number] = pending[n:] })
	return nil
}

// requests removes rows of the log that began before a time.
func (s *sweep) requests(oldest int64) error {
	var ids []uuid.UUID
	c := s.txn.bucket(requestsBucket).cursor()
	for k, _ := c.First(); k != nil && isOld(k, oldest) && s.keys+len(ids) < sweepKeys; k, _ = c.Next() {
		ids = append(ids, uuid.UUID(k))
	}
	for _, id := range ids {
		if err := s.request(id); err != nil {
			return err
		}
	}
	return nil
}

// request removes one row, and notes that it must be removed from the log.
func (s *sweep) request(id uuid.UUID) error {
	value := s.txn.bucket(requestsBucket).get(id[:])
	if value == nil {
		return nil
	}
	s.bytes += len(value)
	h, ok := isRowHead(value)
	if !ok {
		s.txn.bucket(requestsBucket).undecodable(id[:])
		return nil
	}
	s.log = h.appendLogKeys(s.log, id)
	s.keys += 2
	return s.remove(requestsBucket, id[:])
}

// events removes events that were received before a time, with their deliveries.
func (s *sweep) events(oldest int64) error {
	for !s.done() {
		key, value := s.txn.bucket(eventsBucket).cursor().First()
		if key == nil {
			return nil
		}
		head, ok := isEventHead(value)
		if !ok { // the writer sets it aside before the next step
			s.txn.bucket(eventsBucket).undecodable(key)
			return nil
		}
		if head.received >= oldest {
			return nil
		}
		s.bytes += len(value)
		if err := s.event(slices.Clone(key), &head); err != nil {
			return err
		}
	}
	return nil
}

// event removes one event, or a part of it if it has more deliveries than the step may
// remove.
func (s *sweep) event(key []byte, head *eventHead) error {
	pending := s.keysFrom(pendingBucket, key)
	if err := s.remove(pendingBucket, pending...); err != nil {
		return err
	}
	for _, k := range pending {
		s.forget(splitDeliveryKey(k))
	}
	packedDeliveries.eachWith(s.txn.bucket(deliveriesBucket), key, func(k, _ []byte) {
		if !s.full() {
			s.deliveries = append(s.deliveries, k...)
			s.keys++
		}
	})
	if s.full() {
		return nil // the next step finds the event again
	}
	if number, _ := findEvent(s.txn.bucket(idsBucket), head.tenant, head.id); bytes.Equal(number, key) { // the id may have been reused
		s.ids = appendIDKey(s.ids, head.tenant, head.id)
		s.keys++
	}
	s.arrived = appendArrivedKey(s.arrived, head.tenant, eventNumber(key))
	s.keys++
	return s.remove(eventsBucket, key)
}

// packed removes packed records.
func (s *sweep) packed() error {
	return errors.Join(
		packedLog.remove(s.txn.journaled(logBucket), s.log),
		packedDeliveries.remove(s.txn.journaled(deliveriesBucket), s.deliveries),
		removeIDs(s.txn.journaled(idsBucket), s.ids),
		s.txn.removeArrived(s.arrived),
	)
}

// forget removes a delivery from the schedule.
func (s *sweep) forget(event uint64, number uint32) {
	state, now := s.store.state, s.txn.at.schedule
	s.txn.committed = append(s.txn.committed, func() {
		if w := state.byNumber[number]; w != nil {
			state.unschedule(w, event, now)
		}
	})
}

// counts removes counters that are no longer kept.
func (s *sweep) counts() error {
	now := record.Time(s.txn.at.wall)
	for _, kind := range []struct {
		bucket []byte
		oldest uint32
	}{
		{statsBucket, sliceOf(now.Add(-delivery.StatsKept))},
		{stripsBucket, hourOf(now.Add(-delivery.HoursKept))},
	} {
		var keys [][]byte
		c := s.txn.bucket(kind.bucket).cursor()
		for k, _ := c.First(); k != nil && parseCounter(k).at < kind.oldest && s.keys+len(keys) < sweepKeys; k, _ = c.Next() {
			keys = append(keys, slices.Clone(k))
		}
		if err := s.remove(kind.bucket, keys...); err != nil {
			return err
		}
	}
	return nil
}
