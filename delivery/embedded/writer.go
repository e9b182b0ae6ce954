package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// writer writes what is asked of it at the same time in one transaction: while
// that is on its way to the disk, the next gathers. No timer is involved.
type writer struct {
	mu      sync.Mutex
	waiting []*write
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

// write is one change of the file.
type write struct {
	// do makes the change, whole or not at all: an error ends the transaction for
	// all that are part of it.
	do   func(*txn) error
	kind kind
	err  error
	done chan struct{}
}

// kind says how a write goes together with others.
type kind int

const (
	together  kind = iota
	newEvents      // is the first to be refused when the disk is full
	alone          // changes what others of its transaction would have to know
)

// txn is a part of a transaction, and what is to change in memory with it. Writes run
// on the writer's goroutine, the only one that changes more in memory than leases:
// they read it without a lock.
type txn struct {
	*bolt.Tx
	now     int64
	changes []byte // for the journal
	// whole asks for a commit of the database in place of a record.
	whole bool
	// committed is what to do once it is on the disk, undo if it could not be
	// written; both with Store.mu held.
	committed, undo []func()
}

func (w *writer) start(run func([]*write)) {
	w.wake, w.done = make(chan struct{}, 1), make(chan struct{})
	w.closed = false
	go func() {
		defer close(w.done)
		for range w.wake {
			w.mu.Lock()
			batch := w.waiting
			w.waiting = nil
			w.mu.Unlock()
			if len(batch) > 0 {
				run(batch)
			}
		}
	}()
}

// stop ends the writer after what it was given before.
func (w *writer) stop() {
	w.mu.Lock()
	started := w.wake != nil && !w.closed
	w.closed = true
	w.mu.Unlock()
	if started {
		close(w.wake)
		<-w.done
	}
}

// add hands over a write and waits until it has ended.
func (w *writer) add(job *write) error {
	job.done = make(chan struct{})
	w.mu.Lock()
	if w.closed || w.wake == nil {
		w.mu.Unlock()
		return errNotOpen
	}
	w.waiting = append(w.waiting, job)
	select {
	case w.wake <- struct{}{}:
	default: // it has been woken
	}
	w.mu.Unlock()
	<-job.done
	return job.err
}

// write changes the file, together with whatever else is waiting.
func (s *Store) write(k kind, do func(*txn) error) error {
	return s.writer.add(&write{kind: k, do: do})
}

// runAll is the writer's work: it writes what has gathered.
func (s *Store) runAll(batch []*write) {
	for len(batch) > 0 {
		n := 1
		if batch[0].kind != alone {
			for n < len(batch) && batch[n].kind != alone {
				n++
			}
		}
		s.run(batch[:n])
		batch = batch[n:]
	}
}

// run makes a batch durable together. If that fails, for the disk is full, say, each
// is tried by itself, outcomes before new events.
func (s *Store) run(batch []*write) {
	err := s.commit(batch)
	for _, w := range batch {
		w.err = err
	}
	if len(batch) > 1 && err != nil && s.Ping(context.Background()) == nil { // nothing is written
		slices.SortStableFunc(batch, func(a, b *write) int { return int(a.kind) - int(b.kind) })
		for i, w := range batch {
			w.err = s.commit(batch[i : i+1])
		}
	}
	for _, w := range batch {
		close(w.done)
	}
}

// commit makes the changes of a batch, which are on the disk when it returns nil. An
// error leaves them unmade.
func (s *Store) commit(batch []*write) error {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	if broken != nil {
		return broken
	}
	t := &txn{now: s.Now().UnixMilli()}
	writing := false
	err := guarded(func() error {
		var err error
		if t.Tx, err = s.transaction(); err != nil {
			return err
		}
		for _, w := range batch {
			if err := w.do(t); err != nil {
				return err
			}
		}
		writing = true
		return s.persist(t)
	})
	if err != nil {
		s.rollback()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = s.tx != nil || s.journal.at > 0
	after := t.committed
	if err != nil {
		after = t.undo
		slices.Reverse(after)
		err = s.failure(err, writing)
	}
	for _, f := range after {
		f()
	}
	return err
}

// transaction is the open one, which has all that is in the journal.
func (s *Store) transaction() (*bolt.Tx, error) {
	if s.tx != nil {
		return s.tx, nil
	}
	tx, err := s.file.Begin(true)
	if err != nil {
		return nil, err
	}
	s.tx = tx
	return tx, s.journal.replay(tx)
}

// persist brings changes to the disk: by the journal or, if it is full, by committing
// the transaction, which has them.
func (s *Store) persist(t *txn) error {
	switch {
	case len(t.changes) == 0:
		return nil
	case !t.whole && s.journal.fits(t.changes):
		return s.journal.append(t.changes)
	default:
		return s.checkpoint()
	}
}

// checkpoint commits the open transaction, and so has the journal begin anew.
func (s *Store) checkpoint() error {
	tx := s.tx
	if tx == nil {
		return nil
	}
	if err := s.journal.note(tx); err != nil {
		return err
	}
	s.tx = nil // whatever comes of it
	committed := false
	defer func() {
		if !committed { // after a panic it would hold the database for ever
			_ = guarded(tx.Rollback)
		}
	}()
	err := tx.Commit()
	committed = err == nil
	if err != nil {
		if s.journal.isNoted(s.file) {
			return unsure("commit", err)
		}
		return err
	}
	s.journal.next()
	return nil
}

// rollback gives up the open transaction. The next one has what is in the journal.
func (s *Store) rollback() {
	if s.tx == nil {
		return
	}
	tx := s.tx
	s.tx = nil
	_ = guarded(tx.Rollback) // the error is that there is nothing to give up
}

// failure gives an error of the database its meaning. After one in the middle of
// writing that is not for lack of room, the file may hold what the database does
// not know of: nothing is written to it any more.
func (s *Store) failure(err error, writing bool) error {
	switch {
	case isFull(err):
		return fmt.Errorf("%w: %w", delivery.ErrFull, err)
	case !writing:
		return err
	default:
		s.broken = fmt.Errorf("%w: writing failed, and the disk may be failing: %w; restart Caddy once it is well", delivery.ErrUnavailable, err)
		return fmt.Errorf("write to the disk: %w", err)
	}
}

// isFull says whether there is no room: on the disk, by a quota, or by a limit on
// the size of files. The database passes some errors on as text only.
func isFull(err error) bool {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || strings.HasSuffix(err.Error(), ": "+full.Error()) {
			return true
		}
	}
	return false
}
