package embedded

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

// The database leaves what was deleted or replaced in pages that are free, and the journal in the
// records of earlier epochs, until something else is written there. After a secret was replaced
// or a webhook deleted, both are overwritten, by Sweep, in steps. Nothing refers to what is
// overwritten, so that a crash in the middle leaves the files whole.
//
// Whether that is done is noted in the database, so that a restart does not forget it: the
// change itself removes the note.

// wipeEvery is how often the files are overwritten at most.
const wipeEvery = 30 * time.Minute

// A Sweep overwrites in so many steps at most, between which other writes have the disk.
const (
	wipeSteps = 100
	wipePause = 10 * time.Millisecond
)

// wipedKey is in the bucket meta when all is overwritten that was deleted or replaced, with the
// time.
var wipedKey = []byte("wiped")

// wipe is the state of overwriting. One Sweep at a time has the lock; what changes belongs to
// the writer.
type wipe struct {
	sweeping sync.Mutex
	changes  int64 // how often something was deleted or replaced
	began    int64 // the same when the files began to be overwritten
	next     uint64
	running  bool
	ended    time.Time
}

// mustWipe notes that a change has deleted or replaced what must be overwritten.
func (s *Store) mustWipe(t *txn) error {
	t.committed = append(t.committed, func() { s.wipe.changes++ })
	if t.bucket(metaBucket).sealed(wipedKey) == nil {
		return nil
	}
	return t.journaled(metaBucket).delete(wipedKey)
}

// wipeSome overwrites some of what was deleted or replaced, if that is due. It reports whether
// there is more.
func (s *Store) wipeSome(ctx context.Context) (more bool, err error) {
	if !s.wipe.sweeping.TryLock() {
		return false, nil
	}
	defer s.wipe.sweeping.Unlock()
	if !s.wipe.ended.IsZero() && time.Since(s.wipe.ended) < wipeEvery {
		return false, nil
	}
	due := true
	if err := s.write(reading, func(t *txn) error {
		due = s.wipe.running || t.bucket(metaBucket).sealed(wipedKey) == nil
		return nil
	}); err != nil || !due {
		return false, err
	}
	if !s.wipe.running {
		if err := s.beginWipe(); isFull(err) {
			return false, nil // health says that the disk is full
		} else if err != nil {
			return false, err
		}
	}
	for range wipeSteps {
		done := false
		if err := s.write(reading, func(*txn) (err error) {
			s.wipe.next, done, err = s.wipePages(s.wipe.next)
			return err
		}); err != nil {
			return false, fmt.Errorf("overwrite what was deleted: %w", err)
		}
		if done {
			s.wipe.ended = time.Now()
			return false, s.endWipe()
		}
		if err := backoff.Sleep(ctx, wipePause); err != nil {
			return false, err
		}
	}
	return true, nil
}

// beginWipe commits twice, so that neither of the last two commits refers to what was deleted
// before, and overwrites the journal.
func (s *Store) beginWipe() error {
	for commit := range 2 {
		if err := s.write(alone, func(t *txn) error {
			t.whole = true
			if commit == 0 { // what the second one frees, the first still refers to
				s.wipe.began = s.wipe.changes
			}
			return t.journaled(metaBucket).put(triedKey, number8(uint64(t.at.wall)))
		}); err != nil {
			return err
		}
	}
	return s.write(reading, func(*txn) error {
		if err := s.journal.wipe(); err != nil {
			return fmt.Errorf("overwrite the journal: %w", err)
		}
		s.wipe.running, s.wipe.next = true, 0
		return nil
	})
}

// endWipe notes that all is overwritten, unless something was deleted meanwhile.
func (s *Store) endWipe() error {
	return s.write(alone, func(t *txn) error {
		s.wipe.running = false
		if s.wipe.changes != s.wipe.began {
			return nil
		}
		if err := syncData(s.disk); err != nil {
			return err
		}
		if err := syncData(s.journal.file); err != nil {
			return err
		}
		return t.journaled(metaBucket).put(wipedKey, number8(uint64(t.at.wall)))
	})
}

// wipe overwrites what is behind the end of the journal: records of earlier epochs.
func (j *journal) wipe() error {
	from := j.at
	if j.marked {
		from += recordHead
	}
	return overwrite(j.file, from, j.size, wipeChunk)
}

// wipeChunk is how much is read at a time.
const wipeChunk = 256 << 10

// writerReaderAt is a file.
type writerReaderAt interface {
	ReadAt(b []byte, at int64) (int, error)
	WriteAt(b []byte, at int64) (int, error)
}

// overwrite overwrites a part of a file with zeros, of which each piece that has something else
// is written.
func overwrite(f writerReaderAt, from, to, piece int64) error {
	b, zeros := make([]byte, wipeChunk), make([]byte, piece)
	for from < to {
		chunk := b[:min(to-from, wipeChunk)]
		if _, err := f.ReadAt(chunk, from); err != nil {
			return err
		}
		for at := int64(0); at < int64(len(chunk)); at += piece {
			part := chunk[at:min(at+piece, int64(len(chunk)))]
			if bytes.Equal(part, zeros[:len(part)]) {
				continue
			}
			if _, err := f.WriteAt(zeros[:len(part)], from+at); err != nil {
				return err
			}
		}
		from += int64(len(chunk))
	}
	return nil
}
