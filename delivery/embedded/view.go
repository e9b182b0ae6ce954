package embedded

import (
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// view is the content of the store as a transaction of the database sees it. Most
// deliveries are pending only for a moment, so changes of them are kept beside the
// database until the transaction is committed: by then hardly any are left to make.
type view struct {
	tx     *bolt.Tx
	damage *damage // notes what cannot be read
	sealer sealer
	// pending has the changes of that bucket, flushed says that the bucket has them, too.
	pending *pendingChanges
	flushed bool
	// single says that each record must have an entry of its own, as in layout 2.
	single bool
	// counts has what must be added to the counters.
	counts counts
}

// newView makes a view for changes. A view that only reads what is committed needs nothing
// but the transaction.
func newView(tx *bolt.Tx, d *damage) *view {
	return &view{tx: tx, damage: d, pending: newPendingChanges(tx), counts: newCounts()}
}

// flush makes the changes in the database, where later ones are made directly, too: pending
// deliveries can be read in order only there.
func (v *view) flush() error {
	if v.flushed {
		return v.flushCounts()
	}
	v.flushed = true
	b := v.unjournaled(pendingBucket).inner
	for _, key := range slices.Sorted(maps.Keys(v.pending.changed)) {
		var err error
		if value := v.pending.changed[key]; value != nil {
			err = b.Put([]byte(key), value)
		} else {
			err = b.Delete([]byte(key))
		}
		if err != nil {
			return err
		}
	}
	return v.flushCounts()
}
