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
	// pending has the changes of that bucket: new values, nil for keys to delete. It is
	// nil itself once the bucket has all changes.
	pending map[string][]byte
	// last is the last key in the bucket: keys after it are in pending alone.
	last string
	// single says that each record must have an entry of its own, as in layout 2.
	single bool
	// counts has what must be added to the counters.
	counts counts
}

// newView makes a view for changes. A view that only reads what is committed needs nothing
// but the transaction.
func newView(tx *bolt.Tx, d *damage) *view {
	last, _ := tx.Bucket(pendingBucket).Cursor().Last()
	return &view{tx: tx, damage: d, pending: make(map[string][]byte), last: string(last), counts: newCounts()}
}

// flush makes the changes in the database, where later ones are made directly, too: pending
// deliveries can be read in order only there.
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
