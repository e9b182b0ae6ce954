package embedded

import (
	"encoding/binary"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// The index of events has the numbers of each tenant's events, which are in the order in which the
// events came. A file of a version that had none gets one when it is opened. Then earlier events are
// found by looking through all tenants' events, until the retention has passed. So are all events if
// the disk had no room for the bucket.

// appendArrivedKey appends a key of arrived to b.
func appendArrivedKey(b []byte, tenant uint32, event uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, tenant), event)
}

// addArrived adds new events to the index, whose keys are one behind the other.
func (t *txn) addArrived(keys []byte) error {
	if len(keys) == 0 || !t.has(arrivedBucket) {
		return nil
	}
	return packedArrived.addNew(t.journaled(arrivedBucket), keys)
}

// removeArrived removes events from the index.
func (t *txn) removeArrived(keys []byte) error {
	if len(keys) == 0 || !t.has(arrivedBucket) {
		return nil
	}
	return packedArrived.remove(t.journaled(arrivedBucket), keys)
}

// addIndex makes the bucket of the index in a file that has none, if there is room.
func (s *Store) addIndex() error {
	has := false
	err := s.db.View(func(tx *bolt.Tx) error {
		has = tx.Bucket(arrivedBucket) != nil
		return nil
	})
	if err != nil || has {
		return err
	}
	if err = s.db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucket(arrivedBucket)
		return err
	}); isFull(err) {
		return nil
	}
	return err
}

// indexedFrom is the number of the first event that is in the index for sure. While the database has
// not noted it, earlier ones may be in the index, too.
func indexedFrom(v *view) uint64 {
	if !v.has(arrivedBucket) {
		return math.MaxUint64
	}
	if from := v.bucket(metaBucket).get(arrivedBucket); len(from) == 8 {
		return binary.BigEndian.Uint64(from)
	}
	return v.bucket(eventsBucket).lastNumber() + 1
}

// noteIndex notes from where on events are in the index, unless the database has it.
func (s *Store) noteIndex(v *view) error {
	if s.state == nil || !v.has(arrivedBucket) || v.bucket(metaBucket).sealed(arrivedBucket) != nil {
		return nil
	}
	return writeMeta(v.tx, arrivedBucket, number8(s.state.indexed))
}

// arrivedEntry adds the events of a tenant and of an entry's span to the index that it does not have:
// the entry cannot be read.
func (a *aside) arrivedEntry(key []byte) error {
	if len(key) != packedArrived.key {
		return nil
	}
	tenant, span := binary.BigEndian.Uint32(key), packedArrived.span(key)
	arrived := a.txn.journaled(arrivedBucket)
	var lost []byte
	c := a.txn.bucket(eventsBucket).cursor()
	for k, v := c.Seek(packedArrived.start(key)[4:]); len(k) == 8 && eventNumber(k)>>packedArrived.shift == span; k, v = c.Next() {
		h, ok := isEventHead(v)
		if !ok || h.tenant != tenant {
			continue
		}
		one := appendArrivedKey(nil, tenant, eventNumber(k))
		if _, ok := packedArrived.find(arrived.bucket, one); !ok {
			lost = append(lost, one...)
		}
	}
	return packedArrived.add(arrived, lost)
}

// arrivals walks through a tenant's events, in the order in which they came or the other way round.
type arrivals struct {
	tx        *view
	tenant    uint32
	indexed   uint64 // the number of the first event that is in the index
	backwards bool
	// at is the place between two events: the number of the last one that was passed, or of what
	// would be.
	at uint64
}

// scanned is how many events of all tenants are looked at together, if they are small.
const scanned = 50

// next gives the next numbers of events, and moves behind them; there may be none although there are
// others. It reports false at the end. Work is how much it did.
func (a *arrivals) next() (numbers []uint64, work int, more bool) {
	isIndexed := a.at >= a.indexed || a.at+1 >= a.indexed
	if a.backwards {
		isIndexed = a.at > a.indexed
	}
	if !isIndexed {
		return a.scan()
	}
	numbers = a.span()
	if n := len(numbers); n > 0 {
		a.at = numbers[n-1]
		return numbers, 1 + n/10, true
	}
	if a.backwards {
		a.at = a.indexed // where earlier ones end
	}
	return nil, 1, a.backwards
}

// span gives the next events of the index that are of the same span.
func (a *arrivals) span() (numbers []uint64) {
	c := a.tx.bucket(arrivedBucket).cursor()
	if a.backwards {
		k, _ := c.before(appendArrivedKey(nil, a.tenant, a.at))
		numbers = a.ofSpan(c, k, func(n uint64) bool { return n < a.at && n >= a.indexed })
		slices.Reverse(numbers)
		return numbers
	}
	isLeft := func(n uint64) bool { return n > a.at }
	at := appendArrivedKey(nil, a.tenant, a.at)
	if numbers = a.ofSpan(c, at, isLeft); len(numbers) > 0 {
		return numbers
	}
	k, _ := c.Seek(appendArrivedKey(nil, a.tenant, (packedArrived.span(at)+1)<<packedArrived.shift))
	return a.ofSpan(c, k, isLeft)
}

// ofSpan gives those events of the tenant, in the order of their numbers, that are of the span of a
// key and are left.
func (a *arrivals) ofSpan(c cursor, key []byte, isLeft func(uint64) bool) (numbers []uint64) {
	isTenants := func(k []byte) bool {
		return len(k) == packedArrived.key && binary.BigEndian.Uint32(k) == a.tenant
	}
	if !isTenants(key) {
		return nil
	}
	span := packedArrived.span(key)
	for k, v := c.Seek(packedArrived.start(key)); isTenants(k) && packedArrived.span(k) == span; k, v = c.Next() {
		packedArrived.each(k, v, func(record, _ []byte) {
			if n := eventNumber(record[4:]); isLeft(n) {
				numbers = append(numbers, n)
			}
		})
	}
	slices.Sort(numbers)
	return numbers
}

// scan looks through some of all tenants' events that are not in the index.
func (a *arrivals) scan() (numbers []uint64, work int, more bool) {
	c := a.tx.bucket(eventsBucket).cursor()
	move := c.Next
	k, v := c.Seek(number8(a.at + 1))
	if a.backwards {
		move = c.Prev
		k, v = c.before(number8(a.at))
	}
	for ; len(k) == 8 && work < scanned; k, v = move() {
		n := eventNumber(k)
		if !a.backwards && n >= a.indexed {
			break
		}
		a.at = n
		work += 1 + len(v)/bytesPerWork
		if h, ok := isEventHead(v); ok && h.tenant == a.tenant {
			numbers = append(numbers, n)
		}
	}
	if work >= scanned || a.backwards {
		return numbers, work, work >= scanned
	}
	hasIndex := a.indexed != math.MaxUint64
	if hasIndex {
		a.at = a.indexed - 1
	}
	return numbers, work, hasIndex
}
