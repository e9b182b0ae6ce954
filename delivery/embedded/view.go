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
	tx *bolt.Tx
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
	return &view{tx: tx, pending: make(map[string][]byte), last: string(last), counts: newCounts()}
}

// flush brings the changes into the database, and has later ones made there, too:
// only there can the pending deliveries be gone through in their order.
func (v *view) flush() error {
	changed := v.pending
	v.pending = nil
	b := v.unjournaled(pendingBucket)
	for _, key := range slices.Sorted(maps.Keys(changed)) {
		var err error
		if value := changed[key]; value != nil {
			err = b.apply([]byte(key), value)
		} else {
			err = b.applyDelete([]byte(key))
		}
		if err != nil {
			return err
		}
	}
	return v.flushCounts()
}
