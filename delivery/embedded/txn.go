package embedded

// txn is a part of a transaction, and what is to change in memory with it. Writes run
// one after the other, and only they change more in memory than leases: they read it
// without a lock.
type txn struct {
	*view
	journal *journal // has the record of what changes
	at      moment
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
