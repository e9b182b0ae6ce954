package embedded

import (
	"bytes"
	"strings"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// errErasureLost says that an erasure has broken off, and that what is left of it is unknown.
const errErasureLost = delivery.Reason("an erasure broke off, and what is left of it cannot be read: " +
	"bodies of requests of that event may stay until the retention ends")

// erasing goes on with an event that is being erased: the first one whose note can be read. The writer
// sets the others aside before the next step, and notes anew what is left of them.
func (s *sweep) erasing() error {
	meta, noted := s.txn.bucket(metaBucket), s.store.damage.noting()
	c := meta.inner.Cursor() // not our cursor: see received
	for left, _ := c.Seek(erasingPrefix); bytes.HasPrefix(left, erasingPrefix); left, _ = c.Next() {
		if meta.get(left) == nil {
			continue
		}
		s.unfinished = true
		_, err := s.store.eraseMore(s.txn, bytes.Clone(left))
		return err
	}
	s.unfinished = s.unfinished || noted != s.store.damage.noting()
	return nil
}

// erasing notes anew what is left of an erasure whose note cannot be read: the last request of each
// delivery of the event, all of which have ended.
func (a *aside) erasing(key []byte) error {
	number, ok := bytes.CutPrefix(key, erasingPrefix)
	if !ok {
		return nil
	}
	var ids []byte
	if len(number) == 8 {
		for _, d := range endedOf(a.txn.view, eventNumber(number)) {
			if d.Last != uuid.Nil {
				ids = append(ids, d.Last[:]...)
			}
		}
	}
	if len(ids) == 0 {
		a.store.loseErasure(a.damagedRecord.fields()...)
		return nil
	}
	return a.txn.journaled(metaBucket).put(key, ids)
}

// isErasing reports whether a record is the note of an erasure.
func (r *damagedRecord) isErasing() bool {
	return r.bucket == metaNumber && strings.HasPrefix(r.key, string(erasingPrefix))
}

// Unerased says that an erasure is lost, since this process opened the store.
func (s *Store) Unerased() error {
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	if s.damage.erasure {
		return errErasureLost
	}
	return nil
}

// loseErasure has health say that an erasure is lost.
func (s *Store) loseErasure(fields ...zap.Field) {
	s.damage.mu.Lock()
	defer s.damage.mu.Unlock()
	s.damage.erasure = true
	s.log.Error("what is left of an erasure cannot be read", fields...)
}
