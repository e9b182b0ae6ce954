package embedded

import (
	"errors"
	"slices"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// setAside sets aside the records that were found to be unreadable, each by itself: it
// moves them to the bucket aside, where they stay for whoever looks, says so once, and puts
// in their place what is known from other records. The writer calls it.
func (s *Store) setAside() {
	var kept map[string]bool // nil until there is a record
	s.settingAside = true
	defer func() { s.settingAside = false }()
	for {
		records := s.damage.take()
		if len(records) == 0 {
			return
		}
		if kept == nil {
			kept = make(map[string]bool)
		}
		for i := range records {
			r := &records[i]
			w := &write{kind: alone, done: make(chan struct{})}
			var a aside
			w.do = func(t *txn) error {
				a = aside{store: s, txn: t, damagedRecord: r, kept: kept}
				return a.move()
			}
			s.run([]*write{w})
			fields := append(r.fields(), a.fields...)
			switch {
			case errors.Is(w.err, errNotThere) && kept[r.id()]: // with another one
				s.damage.forget(r)
			case w.err != nil: // remembered, and not said again
				s.log.Error("a record of the webhooks' store cannot be read, nor be set aside", append(fields, zap.Error(w.err))...)
				if r.isErasing() {
					s.loseErasure(fields...)
				}
			default:
				s.log.Error("a record of the webhooks' store cannot be read and was set aside", fields...)
				s.damage.forget(r)
			}
		}
	}
}

// wakeToSetAside has the writer set aside what a reader has noted.
func (s *Store) wakeToSetAside() {
	if s.damage.waits() {
		_ = s.write(reading, func(*txn) error { return nil }) // the writer does it after the reads
	}
}

// aside sets one record aside, in its transaction.
type aside struct {
	store *Store
	txn   *txn
	*damagedRecord
	fields []zap.Field     // what else is known of it
	kept   map[string]bool // the ids of what was set aside
}

// errNotThere says that a record was seen, but is not found by its key: the keys of its page
// are no longer in their order.
var errNotThere = errors.New("it is not where its key belongs")

// errWhole says that a record was seen to be damaged, but the one of its key is not: it was
// written anew, or the key of another one has become the same. The other stays where it is,
// and is seen again whenever all records are read.
var errWhole = errors.New("there is a whole record of its key")

func (a *aside) move() error {
	a.txn.whole = true // for the same reason as in Sweep
	in, key := allBuckets[a.bucket], []byte(a.key)
	b := a.txn.bucket(in)
	sealed := slices.Clone(b.sealed(key))
	if sealed == nil {
		return errNotThere
	}
	if _, ok := unseal(a.bucket, key, sealed); ok && !a.whole {
		return errWhole
	}
	if err := a.keep(in, key, sealed); err != nil {
		return err
	}
	value := sealed[:max(0, len(sealed)-sumSize)]
	switch a.bucket {
	case eventsNumber:
		return a.event(key, value)
	case idsNumber:
		return a.eventIDs(key, value)
	case pendingNumber:
		return a.pending(key)
	case deliveriesNumber:
		return a.deliveries(key, value)
	case requestsNumber:
		return a.request(key, value)
	case logNumber:
		return a.logEntry(key, value)
	case arrivedNumber:
		return a.arrivedEntry(key)
	case metaNumber:
		return a.erasing(key)
	default:
		return nil
	}
}

// keep moves a record to the bucket aside.
func (a *aside) keep(in, key, sealed []byte) error {
	if err := a.put(in, key, sealed); err != nil {
		return err
	}
	return a.txn.journaled(in).delete(key)
}

// put puts a record into the bucket aside.
func (a *aside) put(in, key, sealed []byte) error {
	to := append([]byte{bucketNumbers[string(in)]}, key...)
	a.kept[string(to)] = true
	return a.txn.journaled(asideBucket).put(to, append(number8(uint64(a.txn.at.wall)), sealed...))
}

// event removes what refers to an event that cannot be read: nothing of it can be sent.
func (a *aside) event(key, value []byte) error {
	if h, ok := isEventHead(value); ok { // which may be wrong
		a.fields = append(a.fields, zap.Stringer("event_id", h.id))
		if number, _ := findEvent(a.txn.bucket(idsBucket), h.tenant, h.id); slices.Equal(number, key) {
			if err := removeIDs(a.txn.journaled(idsBucket), idKey(h.tenant, h.id)); err != nil {
				return err
			}
		}
	}
	if err := a.txn.flush(); err != nil {
		return err
	}
	b := a.txn.bucket(pendingBucket)
	for _, k := range b.keysWith(key) {
		if err := a.keep(pendingBucket, k, slices.Clone(b.sealed(k))); err != nil {
			return err
		}
		event, webhook := splitDeliveryKey(k)
		a.unschedule(event, webhook)
	}
	return a.ended(key)
}

// ended moves what is left of an event's deliveries that have ended.
func (a *aside) ended(event []byte) error {
	if len(event) != 8 {
		return nil
	}
	var records []packedEntry
	var keys []byte
	packedDeliveries.eachWith(a.txn.bucket(deliveriesBucket), event, func(k, v []byte) {
		records = append(records, packedEntry{slices.Clone(k), seal(nil, deliveriesNumber, k, v)})
		keys = append(keys, k...)
	})
	for _, r := range records {
		if err := a.put(deliveriesBucket, r.key, r.value); err != nil {
			return err
		}
	}
	return packedDeliveries.remove(a.txn.journaled(deliveriesBucket), keys)
}

// keysWith gives the keys that begin with a prefix, those of unreadable records included.
func (b bucket) keysWith(prefix []byte) (keys [][]byte) {
	c := b.inner.Cursor()
	for k, _ := c.Seek(prefix); len(k) >= len(prefix) && string(k[:len(prefix)]) == string(prefix); k, _ = c.Next() {
		keys = append(keys, slices.Clone(k))
	}
	return keys
}

// unschedule takes a delivery off the schedule.
func (a *aside) unschedule(event uint64, number uint32) {
	state, now := a.store.state, a.txn.at.schedule
	if w := state.byNumber[number]; w != nil {
		a.fields = append(a.fields, zap.String("tenant", w.tenant.name), zap.Stringer("webhook_id", w.record.ID))
	}
	a.txn.committed = append(a.txn.committed, func() {
		if w := state.byNumber[number]; w != nil {
			state.unschedule(w, event, now)
		}
	})
}

// pending makes a delivery due whose state is lost, as if it had not been tried. If there is
// no such delivery, it is taken off the schedule.
func (a *aside) pending(key []byte) error {
	if len(key) != 12 {
		return nil
	}
	event, number := splitDeliveryKey(key)
	e, err := decodeEvent("", a.txn.bucket(eventsBucket).get(number8(event)))
	if err == nil && !e.test && !e.Erased && slices.Contains(e.targets, number) {
		a.fields = append(a.fields, zap.Stringer("event_id", e.ID))
		return a.txn.makeDue(a.store.state, event, number)
	}
	a.unschedule(event, number)
	return nil
}

// makeDue writes a delivery as one that has not been tried, and schedules it unless it is
// on the schedule.
func (t *txn) makeDue(state *state, event uint64, number uint32) error {
	if err := t.journaled(pendingBucket).put(deliveryKey(event, number), nil); err != nil {
		return err
	}
	t.committed = append(t.committed, func() {
		w := state.byNumber[number]
		if w == nil {
			return
		}
		if _, scheduled := w.schedule.due(event); !scheduled {
			state.schedule(w, event, 0, t.at.schedule)
		}
	})
	return nil
}

// request removes a row's entries in the log.
func (a *aside) request(key, value []byte) error {
	h, ok := isRowHead(value) // which may be wrong
	if !ok || len(key) != 16 {
		return nil
	}
	a.fields = append(a.fields, zap.Stringer("event_id", h.event))
	return packedLog.remove(a.txn.journaled(logBucket), h.appendLogKeys(nil, uuid.UUID(key)))
}
