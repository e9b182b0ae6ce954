package embedded

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// lockPatience is how long Open waits for another process to release the file.
const lockPatience = 300 * time.Millisecond

// fileStep is the least by which the file grows. It is small, so that a small store stays
// small.
const fileStep = 1 << 20

// Open opens the file, or creates it, and reads what is pending into memory.
func (s *Store) Open(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		return nil
	}
	db, file, err := s.openFile()
	if err != nil {
		return err
	}
	s.db, s.file = db, db
	if err := guarded(func() error { return s.load(file) }); err != nil {
		s.rollback()
		if s.journal != nil {
			err = errors.Join(err, s.journal.file.Close())
		}
		s.db, s.journal = nil, nil
		return errors.Join(fmt.Errorf("%s: %w", db.Path(), err), db.Close())
	}
	s.broken = nil
	s.writer.start()
	return nil
}

// load replays the journal into the database, whose file is given, and reads what is kept
// in memory.
func (s *Store) load(file *os.File) (err error) {
	if err := prepare(s.db); err != nil {
		return err
	}
	if s.journal, err = openJournal(s.folder, s.journalSize); err != nil {
		return fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	if err := s.db.View(s.journal.begin); err != nil {
		return err
	}
	err = errors.Join(s.journal.find(), syncNames(s.folder))
	if s.journal.at == 0 { // else the database was synced before the journal was written
		err = errors.Join(err, renewNewest(s.db, file))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	v, err := s.transaction()
	if err != nil {
		return err
	}
	if err := v.flush(); err != nil {
		return err
	}
	if s.state, err = load(v.tx, s.clock.reach(newest(v.tx)).schedule); err != nil {
		return err
	}
	s.giveUpEmpty()
	s.dirty = s.journal.at > 0
	return nil
}

// Close stops the writer and closes the files. Then another process may open them.
func (s *Store) Close() error {
	s.hub.Stop()
	s.hub.Wait()
	s.writer.stop()
	s.mu.Lock()
	db, broken := s.db, s.broken
	s.db, s.dirty = nil, false
	s.mu.Unlock() // readers may need it to finish
	if db == nil {
		return nil
	}
	// Whatever stays in the journal is replayed when the store is opened again.
	var err error
	if broken == nil {
		err = guarded(s.checkpoint)
	}
	s.rollback()
	return errors.Join(err, s.journal.file.Close(), db.Close())
}

func (s *Store) openFile() (*bolt.DB, *os.File, error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	path := filepath.Join(s.folder, fileName)
	var db *bolt.DB
	var file *os.File
	err := guarded(func() (err error) {
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			OpenFile: func(path string, flag int, mode os.FileMode) (_ *os.File, err error) {
				file, err = os.OpenFile(path, flag, mode)
				return file, err
			},
			Timeout:         lockPatience,
			FreelistType:    bolt.FreelistMapType,
			NoStatistics:    true,
			PreLoadFreelist: true,
			InitialMmapSize: initialMap(),
		})
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, nil, fmt.Errorf("%w: another process has %s open; only one process at a time can have it open", delivery.ErrUnavailable, path)
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return nil, nil, fmt.Errorf("%w: %s: %w (%w)", delivery.ErrUnavailable, path, errDamaged, err)
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	db.AllocSize = fileStep
	if err := checkSize(db, file); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%w: %s: %w", delivery.ErrUnavailable, path, err), db.Close())
	}
	return db, file, nil
}

// renewNewest rewrites the meta page of the last commit. What it refers to was synced
// before it. The meta page of the commit before is left alone.
func renewNewest(db *bolt.DB, file *os.File) error {
	var page int64
	if err := db.View(func(tx *bolt.Tx) error {
		page = int64(tx.ID() % 2)
		return nil
	}); err != nil {
		return err
	}
	size := int64(db.Info().PageSize)
	return renew(file, page*size, size)
}

// initialMap is the least of the address space that the file is mapped to: whenever the
// file outgrows it and is mapped again, all data of the open transaction is copied. A
// 32-bit system has no room for that, and Windows would make the file that large.
func initialMap() int {
	if strconv.IntSize < 64 || runtime.GOOS == "windows" {
		return 0
	}
	return 1 << 30
}

// checkSize refuses a file that has lost its end.
func checkSize(db *bolt.DB, file *os.File) error {
	var used int64
	if err := db.View(func(tx *bolt.Tx) error {
		used = tx.Size()
		return nil
	}); err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() < used {
		err = errDamaged
	}
	return err
}

// prepare refuses a file from a later version, and sets up a new one. It writes nothing to
// any other file, since a full disk must not keep a file from being opened. (What renew
// writes is there already; it needs room only on file systems that never write in place,
// such as btrfs and ZFS.)
func prepare(db *bolt.DB) error {
	fresh := false
	err := db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if fresh = meta == nil; fresh {
			return nil
		}
		schema := meta.Get(schemaKey)
		if len(schema) != 4 {
			return errDamaged
		}
		if v := binary.BigEndian.Uint32(schema); v != schemaVersion {
			return fmt.Errorf("%w: the file has layout %d, but this version knows layout %d: use the version that wrote it", delivery.ErrUnavailable, v, schemaVersion)
		}
		return nil
	})
	if err != nil || !fresh {
		return err
	}
	return db.Update(func(tx *bolt.Tx) error {
		for _, name := range allBuckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		id := make([]byte, 16)
		_, _ = rand.Read(id) // crypto/rand.Read never fails since Go 1.24
		meta := tx.Bucket(metaBucket)
		return errors.Join(meta.Put(databaseID, id), meta.Put(schemaKey, number4(schemaVersion)))
	})
}

// load reads what is kept in memory.
func load(tx *bolt.Tx, now int64) (*state, error) {
	s := newState()
	byNumber := make(map[uint32]*tenant)
	err := tx.Bucket(tenantsBucket).ForEach(func(k, v []byte) error {
		if len(v) < 12 {
			return record.ErrUnreadable
		}
		t := newTenant(string(k), binary.BigEndian.Uint32(v))
		t.version = int64(binary.BigEndian.Uint64(v[4:]))
		s.tenants[t.name], byNumber[t.number] = t, t
		s.nextTenant = max(s.nextTenant, t.number+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = tx.Bucket(typesBucket).ForEach(func(k, v []byte) error {
		n := binary.BigEndian.Uint32(v)
		s.types[string(k)] = n
		s.nextType = max(s.nextType, n+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = tx.Bucket(webhooksBucket).ForEach(func(k, v []byte) error {
		number, w, err := decodeWebhook(v)
		if err != nil {
			return err
		}
		t := byNumber[number]
		if t == nil {
			return record.ErrUnreadable
		}
		w.Tenant = t.name
		added := s.addWebhook(t, binary.BigEndian.Uint32(k), w)
		added.slow = tx.Bucket(slowBucket).Get(k) != nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = tx.Bucket(goneBucket).ForEach(func(k, _ []byte) error {
		s.gone[binary.BigEndian.Uint32(k)] = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s, s.loadPending(tx, now)
}

// loadPending reads the schedule. Deliveries that have not been tried are due: the process
// that held them is gone.
func (s *state) loadPending(tx *bolt.Tx, now int64) error {
	err := tx.Bucket(pendingBucket).ForEach(func(k, v []byte) error {
		event, number := splitDeliveryKey(k)
		d, err := record.DecodeDelivery(v)
		if err != nil {
			return err
		}
		if w := s.byNumber[number]; w != nil {
			w.schedule.set(event, d.RetryAt)
			s.pending++
		} else if pending, ok := s.gone[number]; ok {
			s.gone[number] = append(pending, event)
		}
		return nil
	})
	for _, w := range s.byNumber {
		s.reschedule(w, now, false)
	}
	return err
}

func newTenant(name string, number uint32) *tenant {
	return &tenant{name: name, number: number, webhooks: make(map[uuid.UUID]*webhook)}
}
