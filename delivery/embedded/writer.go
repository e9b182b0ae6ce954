package embedded

import (
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

// txn is a transaction, and what is to change in memory with it. Writes run on the
// writer's goroutine, the only one that changes more in memory than leases: they
// read it without a lock.
type txn struct {
	*bolt.Tx
	now int64
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

// run writes a batch in one transaction. When the disk is full each is tried by
// itself, outcomes before new events.
func (s *Store) run(batch []*write) {
	err := s.commit(batch)
	for _, w := range batch {
		w.err = err
	}
	if len(batch) > 1 && errors.Is(err, delivery.ErrFull) {
		slices.SortStableFunc(batch, func(a, b *write) int { return int(a.kind) - int(b.kind) })
		for i, w := range batch {
			w.err = s.commit(batch[i : i+1])
		}
	}
	for _, w := range batch {
		close(w.done)
	}
}

// commit writes in one transaction, which is on the disk when it returns nil.
func (s *Store) commit(batch []*write) error {
	s.mu.Lock()
	db, broken := s.db, s.broken
	s.mu.Unlock()
	if broken != nil {
		return broken
	}
	t := &txn{now: s.Now().UnixMilli()}
	committing := false
	err := guarded(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			t.Tx = tx
			for _, w := range batch {
				if err := w.do(t); err != nil {
					return err
				}
			}
			committing = true
			return nil
		})
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	after := t.committed
	if err != nil {
		after = t.undo
		slices.Reverse(after)
		err = s.failure(err, committing)
	}
	for _, f := range after {
		f()
	}
	return err
}

// failure gives an error of the database its meaning. After one in the middle of
// writing that is not for lack of room, the file may hold what the database does
// not know of: nothing is written to it any more.
func (s *Store) failure(err error, committing bool) error {
	switch {
	case isFull(err):
		return fmt.Errorf("%w: %w", delivery.ErrFull, err)
	case !committing:
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
