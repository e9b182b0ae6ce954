package embedded

import bolt "go.etcd.io/bbolt"

// A bucket of the database is used through one of three types: bucket can only be read;
// journaled also writes its changes to the journal; unjournaled does not. None of them
// exposes the methods of bolt's own bucket, which know neither the journal nor the
// changes that are kept beside the database, nor checksums.

// bucket reads a bucket of a view. It passes over records that cannot be read, as if they
// did not exist, and notes them, so that the writer sets them aside.
type bucket struct {
	inner  *bolt.Bucket
	view   *view
	number byte // its index in allBuckets, which stands for it in the journal
}

// bucket opens a bucket for reading.
func (v *view) bucket(name []byte) bucket {
	return bucket{v.tx.Bucket(name), v, bucketNumbers[string(name)]}
}

// get reads the value of a key, nil if the key does not exist.
func (b bucket) get(key []byte) []byte {
	sealed := b.sealed(key)
	if sealed == nil {
		return nil
	}
	value, ok := b.view.sealer.unseal(b.number, key, sealed)
	if !ok {
		b.unreadable(key)
		return nil
	}
	return value
}

// sealed reads the value of a key with its checksum, which may be wrong.
func (b bucket) sealed(key []byte) []byte {
	if b.isBeside() {
		if value, ok := b.view.pending.changed[string(key)]; ok {
			return value
		}
	}
	return b.inner.Get(key)
}

// unreadable notes that a record cannot be read.
func (b bucket) unreadable(key []byte) { b.view.damage.note(b.number, key, false) }

// undecodable notes that a record has the right checksum, but still cannot be read.
func (b bucket) undecodable(key []byte) { b.view.damage.note(b.number, key, true) }

// lastNumber is the last number that the bucket gave out.
func (b bucket) lastNumber() uint64 { return b.inner.Sequence() }

// cursor iterates over the keys of a bucket in their order. In pending it sees only what
// is in the database.
func (b bucket) cursor() cursor { return cursor{b.inner.Cursor(), b} }

// cursor is bolt's cursor without the methods that change the bucket. It passes over
// records that cannot be read.
type cursor struct {
	inner *bolt.Cursor
	of    bucket
}

func (c cursor) First() (key, value []byte) {
	key, value = c.inner.First()
	return c.readable(key, value, c.inner.Next)
}

func (c cursor) Last() (key, value []byte) {
	key, value = c.inner.Last()
	return c.readable(key, value, c.inner.Prev)
}

func (c cursor) Next() (key, value []byte) {
	key, value = c.inner.Next()
	return c.readable(key, value, c.inner.Next)
}

func (c cursor) Prev() (key, value []byte) {
	key, value = c.inner.Prev()
	return c.readable(key, value, c.inner.Prev)
}

func (c cursor) Seek(from []byte) (key, value []byte) {
	key, value = c.inner.Seek(from)
	return c.readable(key, value, c.inner.Next)
}

// readable moves on to a record that can be read.
func (c cursor) readable(key, sealed []byte, move func() (key, sealed []byte)) (_, value []byte) {
	for key != nil {
		if value, ok := c.of.view.sealer.unseal(c.of.number, key, sealed); ok {
			return key, value
		}
		c.of.unreadable(key)
		key, sealed = move()
	}
	return nil, nil
}

// isBeside reports whether changes of the bucket are only kept beside the database.
func (b bucket) isBeside() bool { return b.hasChanges() && !b.view.flushed }

// hasChanges reports whether changes of the bucket are kept beside the database.
func (b bucket) hasChanges() bool { return b.number == pendingNumber && b.view.pending != nil }

// journaled is a bucket whose changes are written to the journal.
type journaled struct {
	bucket
	journal *journal
}

// journaled opens a bucket for changes.
func (t *txn) journaled(name []byte) journaled { return journaled{t.bucket(name), t.journal} }

// rising opens a bucket for changes in which keys come in rising order.
func (t *txn) rising(name []byte) journaled {
	b := t.journaled(name)
	b.inner.FillPercent = appendFill
	return b
}

// put sets a key. It does not retain key or value: the transaction refers to the copies in
// the journal's buffer, so that the caller's need not be on the heap.
func (b journaled) put(key, value []byte) error {
	journaledKey := b.journal.change(changePut|b.number, key)
	return unjournaled{b.bucket}.apply(journaledKey, b.journal.addSealed(b.number, key, value))
}

// delete deletes a key.
func (b journaled) delete(key []byte) error {
	return unjournaled{b.bucket}.applyDelete(b.journal.change(changeDelete|b.number, key))
}

// nextNumber gives out the bucket's next number.
func (b journaled) nextNumber() (uint64, error) {
	n := b.lastNumber() + 1
	return n, b.setNumber(n)
}

// setNumber sets the last number that the bucket gave out.
func (b journaled) setNumber(n uint64) error {
	b.journal.change(changeNumber|b.number, number8(n))
	return unjournaled{b.bucket}.applyNumber(n)
}

// unjournaled is a bucket whose changes are made only in the transaction. It is for
// changes that are in the journal already, and for counters, which the journal does not
// have.
type unjournaled struct{ bucket }

// unjournaled opens a bucket in which keys come in rising order.
func (v *view) unjournaled(name []byte) unjournaled {
	b := unjournaled{v.bucket(name)}
	b.inner.FillPercent = appendFill
	return b
}

// apply sets a key. The value must be sealed, and must stay valid until the transaction
// ends.
func (b unjournaled) apply(key, sealed []byte) error {
	if b.hasChanges() {
		b.view.pending.put(key, sealed)
	}
	if b.isBeside() {
		return nil
	}
	return b.inner.Put(key, sealed)
}

// applyDelete deletes a key.
func (b unjournaled) applyDelete(key []byte) error {
	if b.hasChanges() {
		b.view.pending.delete(key)
	}
	if b.isBeside() {
		return nil
	}
	return b.inner.Delete(key)
}

// applyNumber sets the last number that the bucket gave out.
func (b unjournaled) applyNumber(n uint64) error { return b.inner.SetSequence(n) }

// bucketNumbers are the indexes in allBuckets.
var bucketNumbers = func() map[string]byte {
	numbers := make(map[string]byte, len(allBuckets))
	for i, name := range allBuckets {
		numbers[string(name)] = byte(i)
	}
	return numbers
}()

var (
	metaNumber       = bucketNumbers[string(metaBucket)]
	tenantsNumber    = bucketNumbers[string(tenantsBucket)]
	webhooksNumber   = bucketNumbers[string(webhooksBucket)]
	eventsNumber     = bucketNumbers[string(eventsBucket)]
	idsNumber        = bucketNumbers[string(idsBucket)]
	pendingNumber    = bucketNumbers[string(pendingBucket)]
	deliveriesNumber = bucketNumbers[string(deliveriesBucket)]
	requestsNumber   = bucketNumbers[string(requestsBucket)]
	logNumber        = bucketNumbers[string(logBucket)]
	auditNumber      = bucketNumbers[string(auditBucket)]
	replaysNumber    = bucketNumbers[string(replaysBucket)]
	arrivedNumber    = bucketNumbers[string(arrivedBucket)]
)
