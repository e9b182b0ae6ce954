package embedded

// txn is one write's part of a transaction, and what it changes in memory. Writes run one
// after the other, and only they change anything in memory but leases, so that they read
// it without a lock.
type txn struct {
	*view
	journal *journal // has the record of the changes
	at      moment
	// slow has the webhooks that became slow, or fast again.
	slow map[*webhook]bool
	// scratch is a buffer for values on their way to the journal.
	scratch []byte
	// whole asks for a commit of the database instead of a record in the journal.
	whole bool
	// committed is what to do once the changes are on the disk, undo what to do if they
	// could not be written; both with Store.mu held.
	committed, undo []func()
}
