package embedded

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/groupcommit"
)

// writer runs writes that are requested at the same time as one batch, until it is stopped.
type writer struct {
	batches groupcommit.Group[*write]

	mu    sync.Mutex
	open  bool
	calls sync.WaitGroup // in progress
}

// write is one change of the file, or one read of it.
type write struct {
	// do makes the change. An error undoes the whole batch, unless the write only reads.
	do   func(*txn) error
	kind kind
	err  error
	done chan struct{}
}

// kind says how a write can be combined with others.
type kind int

const (
	reading   kind = iota // only reads, and waits for no write
	together              // no other write of its batch depends on it
	newEvents             // the same, and the first to be refused when the disk is full
	alone                 // others depend on it, so that it is a batch by itself
)

// errAsideFirst, which nobody is told, says that a batch has come upon an entry of several
// records that cannot be read. Written to, it would be lost whole: so it is set aside before the
// batch runs.
var errAsideFirst = errors.New("unreadable records")

// start accepts calls.
func (w *writer) start() {
	w.mu.Lock()
	w.open = true
	w.mu.Unlock()
}

// stop accepts no more calls, and waits for those in progress.
func (w *writer) stop() {
	w.mu.Lock()
	w.open = false
	w.mu.Unlock()
	w.calls.Wait()
	w.batches.Wait()
}

// add adds a write to the next batch and waits until it has ended.
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

// write runs a write, together with whatever else is waiting.
func (s *Store) write(k kind, do func(*txn) error) error {
	return s.writer.add(&write{kind: k, do: do})
}

// runAll runs the reads that have gathered, and then the writes, in batches.
func (s *Store) runAll(batch []*write) {
	// Reads need not wait for the disk.
	batch = slices.DeleteFunc(batch, func(w *write) bool {
		if w.kind != reading {
			return false
		}
		w.err = s.runRead(w.do)
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
	s.setAside()
	s.journal.markEnd()
}

// runRead runs a read.
func (s *Store) runRead(do func(*txn) error) error {
	if err := s.usable(); err != nil {
		return err
	}
	defer s.giveUpEmpty()
	return s.noticed(guarded(func() error {
		v, err := s.transaction()
		if err != nil {
			return err
		}
		return do(&txn{view: v})
	}))
}

// run runs a batch. If that fails, because the disk is full for instance, it runs each
// write of the batch by itself, outcomes before new events.
func (s *Store) run(batch []*write) {
	err := s.commit(batch)
	for _, w := range batch {
		w.err = err
	}
	if len(batch) > 1 && err != nil && s.usable() == nil && s.presence.check(presenceEvery) == nil { // nothing was written
		slices.SortStableFunc(batch, func(a, b *write) int { return int(a.kind) - int(b.kind) })
		for i, w := range batch {
			w.err = s.commit(batch[i : i+1])
		}
	}
	for _, w := range batch {
		close(w.done)
	}
}

// commit makes the changes of a batch. If it returns nil, they are on the disk; an error
// undoes them.
func (s *Store) commit(batch []*write) error {
	err := s.attempt(batch, !s.settingAside)
	for again := 2; errors.Is(err, errAsideFirst); again-- {
		s.setAside()
		err = s.attempt(batch, again > 0)
	}
	return err
}

// attempt does what commit does. If there is something to set aside first, it may undo the
// changes for that.
func (s *Store) attempt(batch []*write, mayWait bool) error {
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.presence.check(presenceEvery); err != nil {
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
		if mayWait && s.damage.waitsPacked() {
			return errAsideFirst
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
	s.dirty = s.journal.hasRecords()
	if writing {
		s.full = isFull(err)
	}
	after := t.committed
	if err != nil {
		after = t.undo
		slices.Reverse(after)
		err = s.noticed(s.failure(err, writing))
	}
	for _, f := range after {
		f()
	}
	return err
}

// transaction gives the open transaction, which has all changes in the journal, or begins
// one.
func (s *Store) transaction() (*view, error) {
	if s.view != nil {
		return s.view, nil
	}
	tx, err := s.file.Begin(true)
	if err != nil {
		return nil, err
	}
	s.view = &view{tx: tx, damage: &s.damage} // so that it is rolled back even if the file is damaged
	s.journal.forget()
	if err := guarded(func() error {
		s.view = newView(tx, &s.damage)
		s.view.single = s.single
		return s.journal.replay(s.view)
	}); err != nil {
		s.rollback()
		return nil, err
	}
	s.beside.Store(s.view.pending)
	return s.view, nil
}

// giveUpEmpty ends a transaction without changes: then others can read without it.
func (s *Store) giveUpEmpty() {
	if !s.journal.hasRecords() {
		s.rollback()
	}
}

// persist makes changes durable: by a record in the journal or, if that is full, by a
// commit of the transaction.
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

// checkpoint commits the open transaction, after which the journal starts over.
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
	if s.single {
		if err := writeLayout(v.tx); err != nil {
			return err
		}
	}
	if err := s.noteIndex(v); err != nil {
		return err
	}
	s.view = nil // whether the commit succeeds or not
	defer s.endBeside(v)
	committed := false
	defer func() {
		if !committed { // after a panic it would block the database for ever
			_ = guarded(v.tx.Rollback)
		}
	}()
	err := s.commitTx(v.tx)
	committed = err == nil
	if err != nil {
		if s.journal.isNoted(s.file) {
			return unsure("commit", err)
		}
		return err
	}
	s.single = false
	s.journal.next()
	return nil
}

// rollback rolls the open transaction back. The next one replays the journal.
func (s *Store) rollback() {
	if s.view == nil {
		return
	}
	v := s.view
	s.view = nil
	s.endBeside(v)
	_ = guarded(v.tx.Rollback) // the only error is that there is nothing to roll back
}

// endBeside ends the reading beside a transaction.
func (s *Store) endBeside(v *view) {
	s.beside.Store(nil)
	v.pending.end()
}

// failure classifies an error of the database. If it happened during a write, and not for
// lack of room, it is unknown what the file has: then nothing is written to it any more.
func (s *Store) failure(err error, writing bool) error {
	switch {
	case isFull(err):
		return fmt.Errorf("%w: %w", delivery.ErrFull, err)
	case !writing:
		return err
	case errors.Is(err, errDamaged):
		s.broken = err
		return err
	default:
		s.broken = fmt.Errorf("%w: %w: %w; %w", delivery.ErrUnavailable,
			delivery.Reason("writing failed, and the disk may be failing"), err, delivery.Reason("restart Caddy when the disk works again"))
		return fmt.Errorf("%w: %w", delivery.Reason("write to the disk"), err)
	}
}

// isFull reports whether an error means that there is no room: on the disk, by a quota, or
// by a limit on the size of files. The database passes some errors on as text only.
func isFull(err error) bool {
	if err == nil {
		return false
	}
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || strings.HasSuffix(err.Error(), ": "+full.Error()) {
			return true
		}
	}
	return false
}
