package embedded

import (
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// view is what the store holds, as a transaction of the database has it. Most
// deliveries are pending for a moment only: what changes of them stands beside the
// database until the transaction is committed, when hardly any of it is left to do.
type view struct {
	*bolt.Tx
	// pending has what has changed in that bucket: values, nil for what has to be
	// removed from it. It is nil itself once the bucket has all of it.
	pending map[string][]byte
	// last is the last key that the bucket has: what comes behind it is in pending
	// alone.
	last string
	// counts has what was added to the counters.
	counts counts
}

// newView is for changes; one that only reads what is committed needs no more than
// the transaction.
func newView(tx *bolt.Tx) *view {
	last, _ := tx.Bucket(pendingBucket).Cursor().Last()
	return &view{Tx: tx, pending: make(map[string][]byte), last: string(last), counts: newCounts()}
}

// flush brings the changes into the database, and has later ones made there, too:
// only there can the pending deliveries be gone through in their order.
func (v *view) flush() error {
	changed := v.pending
	v.pending = nil
	b := v.rising(pendingBucket)
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		var err error
		if value := changed[key]; value != nil {
			err = b.put([]byte(key), value)
		} else {
			err = b.delete([]byte(key))
		}
		if err != nil {
			return err
		}
	}
	return v.flushCounts()
}

// stored is a bucket of a view.
type stored struct {
	*bolt.Bucket
	view   *view
	number byte // its place in allBuckets, which the journal knows it by
}

// Bucket opens a bucket by its name.
func (v *view) Bucket(name []byte) stored {
	return stored{v.Tx.Bucket(name), v, bucketNumbers[string(name)]}
}

// rising opens a bucket in which keys come in rising order.
func (v *view) rising(name []byte) stored {
	return stored{rising(v.Tx, name), v, bucketNumbers[string(name)]}
}

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

// isBeside says whether changes of the bucket stand beside the database.
func (b stored) isBeside() bool { return b.number == pendingNumber && b.view.pending != nil }

// Get reads a key, nil if it is not there.
func (b stored) Get(key []byte) []byte {
	if b.isBeside() {
		if value, ok := b.view.pending[string(key)]; ok {
			return value
		}
	}
	return b.Bucket.Get(key)
}

// put sets a key. The value has to last as long as the transaction, and is not nil.
func (b stored) put(key, value []byte) error {
	if b.isBeside() {
		b.view.pending[string(key)] = value
		return nil
	}
	return b.Put(key, value)
}

func (b stored) delete(key []byte) error {
	switch {
	case !b.isBeside():
		return b.Delete(key)
	case string(key) > b.view.last:
		delete(b.view.pending, string(key))
	default:
		b.view.pending[string(key)] = nil
	}
	return nil
}
