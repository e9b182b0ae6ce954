package embedded

import (
	"errors"
	"slices"
	"sync"

	bolt "go.etcd.io/bbolt"
)

// A commit of the database takes tens of milliseconds, in which the writer does nothing else.
// Retries that fall due must not wait for it. So Claim reads beside the writer: an event is as the
// last commit has it, and so is the state of its delivery, unless the open transaction has
// changed it. Changes that are not on the disk yet, and may never be, do no harm: the attempts of a
// delivery change with an outcome whose lease holds, and then it is not claimed before they are.
// Whether a commit that is going on has succeeded makes no difference either.

// pendingChanges has what an open transaction changes of pending. Only the writer changes it, and
// needs no lock to read it.
type pendingChanges struct {
	db *bolt.DB
	// Of the last commit: the last key in the bucket, and the number of the last event.
	last      string
	lastEvent uint64

	mu      sync.Mutex
	changed map[string][]byte // new values, nil for keys to delete
	ended   bool              // the values may not be read any more
}

func newPendingChanges(tx *bolt.Tx) *pendingChanges {
	last, _ := tx.Bucket(pendingBucket).Cursor().Last()
	return &pendingChanges{
		db: tx.DB(), last: string(last), lastEvent: tx.Bucket(eventsBucket).Sequence(),
		changed: make(map[string][]byte),
	}
}

// put sets a key. The value must stay valid until the transaction ends.
func (p *pendingChanges) put(key, sealed []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed[string(key)] = sealed
}

// delete deletes a key.
func (p *pendingChanges) delete(key []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if string(key) > p.last {
		delete(p.changed, string(key))
	} else {
		p.changed[string(key)] = nil
	}
}

// end ends the reading beside the writer, before values are written over.
func (p *pendingChanges) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
}

// errNotBeside, which nobody is told, says that something must be read by the writer.
var errNotBeside = errors.New("not beside")

// begin begins to read the last commit, with what has changed since of the given keys.
func (p *pendingChanges) begin(keys [][]byte) (*view, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil, errNotBeside
	}
	changed := make(map[string][]byte)
	for _, key := range keys {
		if value, ok := p.changed[string(key)]; ok {
			changed[string(key)] = slices.Clone(value)
		}
	}
	tx, err := p.db.Begin(false) // no later: the commit must not be one that lacks other changes
	if err != nil {
		return nil, err
	}
	return &view{tx: tx, damage: new(damage), pending: &pendingChanges{changed: changed}}, nil
}

// readBeside does what readJobs does beside the writer. It reports false if that has to be left
// to the writer: an event is newer than the last commit, or anything is not as it should be.
func (c *claim) readBeside() bool {
	p := c.store.beside.Load()
	if p == nil || slices.ContainsFunc(c.chosen, func(d chosen) bool { return d.event > p.lastEvent }) {
		return false
	}
	keys := make([][]byte, len(c.chosen))
	for i, d := range c.chosen {
		keys[i] = deliveryKey(d.event, d.webhook.number)
	}
	err := guarded(func() error {
		c.store.readers.RLock()
		defer c.store.readers.RUnlock()
		v, err := p.begin(keys)
		if err != nil {
			return err
		}
		defer func() { _ = v.tx.Rollback() }() // which only ends it
		found := c.find(v)
		if found.waits || len(found.dropped) > 0 || v.damage.waits() {
			return errNotBeside
		}
		c.takeIn(&found)
		return nil
	})
	return err == nil
}
