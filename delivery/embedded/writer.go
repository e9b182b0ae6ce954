package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/groupcommit"
)

// writer runs what is asked of it at the same time as one batch, until it is stopped.
type writer struct {
	batches groupcommit.Group[*write]

	mu    sync.Mutex
	open  bool
	calls sync.WaitGroup // those that were let in
}

// write is one change of the file, or something that only reads.
type write struct {
	// do makes the change, whole or not at all: an error ends the transaction for
	// all that are part of it, unless it only reads.
	do   func(*txn) error
	kind kind
	err  error
	done chan struct{}
}

// kind says how a write goes together with others.
type kind int

const (
	reading   kind = iota // sees what is on the disk, and waits for nothing to be written
	together              // changes what no other of its transaction has to know
	newEvents             // the same; the first to be refused when the disk is full
	alone                 // changes what others of its transaction would have to know
)

// start lets calls in.
func (w *writer) start() {
	w.mu.Lock()
	w.open = true
	w.mu.Unlock()
}

// stop lets no more calls in, and waits until those before have ended.
func (w *writer) stop() {
	w.mu.Lock()
	w.open = false
	w.mu.Unlock()
	w.calls.Wait()
	w.batches.Wait()
}

// add hands over a write and waits until it has ended.
func (w *writer) add(job *write) error {
	w.mu.Lock()
	if !w.open {
		w.mu.Unlock()
		return errNotOpen
	}
	w.calls.Add(1)
	w.mu.Unlock()
	defer w.calls.Done()
	job.done = make(chan struct{})
	w.batches.Add(job)
	<-job.done
	return job.err
}

// write changes the file, together with whatever else is waiting.
func (s *Store) write(k kind, do func(*txn) error) error {
	return s.writer.add(&write{kind: k, do: do})
}

// runAll is the writer's work: it answers and writes what has gathered.
func (s *Store) runAll(batch []*write) {
	// Who only reads need not wait for the disk.
	batch = slices.DeleteFunc(batch, func(w *write) bool {
		if w.kind != reading {
			return false
		}
		w.err = s.look(w.do)
		close(w.done)
		return true
	})
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

// look runs what only reads.
func (s *Store) look(do func(*txn) error) error {
	if err := s.Ping(context.Background()); err != nil {
		return err
	}
	defer s.giveUpEmpty()
	return guarded(func() error {
		v, err := s.transaction()
		if err != nil {
			return err
		}
		return do(&txn{view: v})
	})
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
	if err := s.Ping(context.Background()); err != nil {
		return err
	}
	t := &txn{journal: s.journal, at: s.clock.now(), scratch: s.scratch}
	writing := false
	err := guarded(func() error {
		var err error
		if t.view, err = s.transaction(); err != nil {
			return err
		}
		s.journal.start()
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
	s.giveUpEmpty()
	s.scratch = t.scratch
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = s.journal.at > 0
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
func (s *Store) transaction() (*view, error) {
	if s.view != nil {
		return s.view, nil
	}
	tx, err := s.file.Begin(true)
	if err != nil {
		return nil, err
	}
	s.view = &view{tx: tx} // to be given up, whatever the file is like
	s.journal.forget()
	if err := guarded(func() error {
		s.view = newView(tx)
		return s.journal.replay(s.view)
	}); err != nil {
		s.rollback()
		return nil, err
	}
	return s.view, nil
}

// giveUpEmpty ends a transaction that has nothing: others can read without it.
func (s *Store) giveUpEmpty() {
	if s.journal.at == 0 {
		s.rollback()
	}
}

// persist brings changes to the disk: by the journal or, if it is full, by committing
// the transaction, which has them.
func (s *Store) persist(t *txn) error {
	switch {
	case s.journal.isEmpty():
		return nil
	case !t.whole && s.journal.fits():
		return s.journal.append()
	default:
		return s.checkpoint()
	}
}

// checkpoint commits the open transaction, and so has the journal begin anew.
func (s *Store) checkpoint() error {
	v := s.view
	if v == nil {
		return nil
	}
	if err := v.flush(); err != nil {
		return err
	}
	if err := s.journal.note(v.tx); err != nil {
		return err
	}
	s.view = nil // whatever comes of it
	committed := false
	defer func() {
		if !committed { // after a panic it would hold the database for ever
			_ = guarded(v.tx.Rollback)
		}
	}()
	err := v.tx.Commit()
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
	if s.view == nil {
		return
	}
	v := s.view
	s.view = nil
	_ = guarded(v.tx.Rollback) // the error is that there is nothing to give up
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
		s.broken = fmt.Errorf("%w: writing failed, and the disk may be failing: %w; restart Caddy when the disk works again", delivery.ErrUnavailable, err)
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
