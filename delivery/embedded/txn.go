package embedded

// txn is a part of a transaction, and what is to change in memory with it. Writes run
// one after the other, and only they change more in memory than leases: they read it
// without a lock.
type txn struct {
	*view
	journal *journal // has the record of what changes
	now     int64
	// slow has which webhooks became slow, or quick again.
	slow map[*webhook]bool
	// scratch is for a value on its way to the journal.
	scratch []byte
	// whole asks for a commit of the database in place of a record.
	whole bool
	// committed is what to do once it is on the disk, undo if it could not be
	// written; both with Store.mu held.
	committed, undo []func()
}

// bucket is a bucket whose changes are written to the journal.
type bucket struct {
	stored
	journal *journal
}

// Bucket opens a bucket by its name.
func (t *txn) Bucket(name []byte) *bucket { return &bucket{t.view.Bucket(name), t.journal} }

// rising opens a bucket in which keys come in rising order.
func (t *txn) rising(name []byte) *bucket { return &bucket{t.view.rising(name), t.journal} }

// Put sets a key. It keeps nothing of the value: what the transaction refers to is
// what lies in the journal's buffer, which is not nil even when the value is.
func (b *bucket) Put(key, value []byte) error {
	b.journal.change(changePut|b.number, key)
	return b.put(key, b.journal.add(value))
}

// Delete removes a key.
func (b *bucket) Delete(key []byte) error {
	b.journal.change(changeDelete|b.number, key)
	return b.delete(key)
}

// NextSequence gives the next number of the bucket.
func (b *bucket) NextSequence() (uint64, error) {
	n, err := b.Bucket.NextSequence()
	b.journal.change(changeNumber|b.number, number8(n))
	return n, err
}

// SetSequence sets the number that was given last.
func (b *bucket) SetSequence(n uint64) error {
	b.journal.change(changeNumber|b.number, number8(n))
	return b.Bucket.SetSequence(n)
}
