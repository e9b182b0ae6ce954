package embedded

import bolt "go.etcd.io/bbolt"

// There are three kinds of access to a bucket of the database, each a type of its own:
// a bucket can only be read, the changes of a journaled one go into the journal, too,
// and those of an unjournaled one do not. None shows the methods of bolt's own bucket,
// which know of neither the journal nor what stands beside the database.

// bucket reads a bucket of a view.
type bucket struct {
	inner  *bolt.Bucket
	view   *view
	number byte // its place in allBuckets, by which the journal knows it
}

// bucket opens a bucket for reading.
func (v *view) bucket(name []byte) bucket {
	return bucket{v.tx.Bucket(name), v, bucketNumbers[string(name)]}
}

// get reads a key, nil if it is not there.
func (b bucket) get(key []byte) []byte {
	if b.isBeside() {
		if value, ok := b.view.pending[string(key)]; ok {
			return value
		}
	}
	return b.inner.Get(key)
}

// lastNumber is the number that the bucket gave last.
func (b bucket) lastNumber() uint64 { return b.inner.Sequence() }

// cursor goes through the keys of a bucket in their order. Of pending it sees what is
// in the database alone.
func (b bucket) cursor() cursor { return b.inner.Cursor() }

// cursor is bolt's, without what changes the bucket.
type cursor interface {
	First() (key, value []byte)
	Next() (key, value []byte)
	Prev() (key, value []byte)
	Seek(from []byte) (key, value []byte)
}

// isBeside says whether changes of the bucket stand beside the database.
func (b bucket) isBeside() bool { return b.number == pendingNumber && b.view.pending != nil }

// journaled is a bucket whose changes are written to the journal.
type journaled struct {
	bucket
	journal *journal
}

// journaled opens a bucket for changes.
func (t *txn) journaled(name []byte) *journaled { return &journaled{t.bucket(name), t.journal} }

// rising opens a bucket for changes in which keys come in rising order.
func (t *txn) rising(name []byte) *journaled {
	b := t.journaled(name)
	b.inner.FillPercent = appendFill
	return b
}

// put sets a key. It keeps nothing of the value: the transaction refers to the copy
// in the journal's buffer, which is not nil even when the value is.
func (b *journaled) put(key, value []byte) error {
	b.journal.change(changePut|b.number, key)
	return unjournaled{b.bucket}.apply(key, b.journal.add(value))
}

// delete removes a key.
func (b *journaled) delete(key []byte) error {
	b.journal.change(changeDelete|b.number, key)
	return unjournaled{b.bucket}.applyDelete(key)
}

// nextNumber gives the bucket's next number.
func (b *journaled) nextNumber() (uint64, error) {
	n := b.lastNumber() + 1
	return n, b.setNumber(n)
}

// setNumber sets the number that counts as given last.
func (b *journaled) setNumber(n uint64) error {
	b.journal.change(changeNumber|b.number, number8(n))
	return unjournaled{b.bucket}.applyNumber(n)
}

// unjournaled is a bucket whose changes are made in the transaction alone. It is for
// changes that the journal has already, and for counters, which it does not keep.
type unjournaled struct{ bucket }

// unjournaled opens a bucket in which keys come in rising order.
func (v *view) unjournaled(name []byte) unjournaled {
	b := unjournaled{v.bucket(name)}
	b.inner.FillPercent = appendFill
	return b
}

// apply sets a key. The value has to last as long as the transaction, and is not nil.
func (b unjournaled) apply(key, value []byte) error {
	if b.isBeside() {
		b.view.pending[string(key)] = value
		return nil
	}
	return b.inner.Put(key, value)
}

// applyDelete removes a key.
func (b unjournaled) applyDelete(key []byte) error {
	switch {
	case !b.isBeside():
		return b.inner.Delete(key)
	case string(key) > b.view.last:
		delete(b.view.pending, string(key))
	default:
		b.view.pending[string(key)] = nil
	}
	return nil
}

// applyNumber sets the number that counts as given last.
func (b unjournaled) applyNumber(n uint64) error { return b.inner.SetSequence(n) }

// bucketNumbers are the places in allBuckets.
var bucketNumbers = func() map[string]byte {
	numbers := make(map[string]byte, len(allBuckets))
	for i, name := range allBuckets {
		numbers[string(name)] = byte(i)
	}
	return numbers
}()

var (
	pendingNumber  = bucketNumbers[string(pendingBucket)]
	requestsNumber = bucketNumbers[string(requestsBucket)]
)
