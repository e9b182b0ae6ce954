package embedded

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// lockPatience is how long Open waits for another process to release the file.
const lockPatience = 300 * time.Millisecond

// fileStep is the least by which the file grows. It is small, so that a small store stays
// small.
const fileStep = 1 << 20

// Open opens the files, or creates them, and reads what is pending into memory.
func (s *Store) Open(ctx context.Context) error {
	lost, err := s.open(ctx)
	if err != nil {
		return err
	}
	s.wakeToSetAside()
	if err := s.restore(lost); err != nil && !errors.Is(err, errDamaged) { // which health says
		return errors.Join(fmt.Errorf("%s: %w", s.folder, err), s.shut())
	}
	return nil
}

// open opens the files. It reports whether pending deliveries may be lost.
func (s *Store) open(ctx context.Context) (lost bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		return false, nil
	}
	db, file, err := s.openFile()
	if err != nil {
		return false, err
	}
	s.db, s.file, s.disk, s.journal = db, db, file, nil
	s.wipe.running, s.wipe.ended = false, time.Time{}
	err = guarded(func() (err error) {
		lost, err = s.load(ctx, file)
		return err
	})
	if err != nil {
		s.rollback()
		if s.journal != nil {
			err = errors.Join(err, s.journal.file.Close())
		}
		s.db, s.journal = nil, nil
		if !errors.Is(err, delivery.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
		}
		return false, errors.Join(fmt.Errorf("%s: %w", db.Path(), err), db.Close())
	}
	s.broken = nil
	s.writer.start()
	return lost, nil
}

// load replays the journal into the database, whose file is given, and reads what is kept
// in memory. It reports whether pending deliveries may be lost.
func (s *Store) load(ctx context.Context, file *os.File) (lost bool, err error) {
	if err := s.prepare(ctx); err != nil {
		return false, err
	}
	journal, content, err := openJournal(s.folder, s.journalSize, s.db)
	if err != nil {
		return false, err
	}
	s.journal = journal
	if err := s.presence.watch(file, journal.file); err != nil {
		return false, err
	}
	err = s.journal.find(content)
	if err == nil { // first: the journal's head says that the database has the epoch before
		err = renewNewest(s.db, file)
	}
	if err == nil {
		err = errors.Join(s.journal.renew(), syncNames(s.folder))
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	v, err := s.transaction()
	if err != nil {
		return false, err
	}
	if err := v.flush(); err != nil {
		return false, err
	}
	if s.state, lost, err = s.loadState(v, s.clock.reach(newest(v)).schedule); err != nil {
		return false, err
	}
	s.state.indexed = indexedFrom(v)
	s.giveUpEmpty()
	s.dirty = s.journal.hasRecords()
	return lost, nil
}

// Close stops the writer and closes the files. Then another process may open them.
func (s *Store) Close() error {
	s.hub.Stop()
	s.hub.Wait()
	return s.shut()
}

// shut does what Close does, but leaves the store such that Open may be called again.
func (s *Store) shut() error {
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
	if err := verify(s.folder); err != nil {
		return nil, nil, err
	}
	path := filepath.Join(s.folder, fileName)
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		if err := s.mayBegin(); err != nil {
			return nil, nil, err
		}
	}
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
	if errors.Is(err, errDamaged) && file != nil { // bbolt panicked with the file open and locked
		err = errors.Join(fmt.Errorf("%s: %w", path, err), abandonFile(file))
	}
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, nil, fmt.Errorf("%w: %w: %s", delivery.ErrUnavailable,
			delivery.Reason("another process has the store open; only one process at a time can have it open"), path)
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

// prepare sets up a new file, upgrades one of an earlier version, and refuses one of a later
// version. It writes nothing to any other file, since a full disk must not keep a file from
// being opened. (What renew writes is there already; it needs room only on file systems that
// never write in place, such as btrfs and ZFS.)
func (s *Store) prepare(ctx context.Context) error {
	s.single = false
	var layout uint32
	upgrading := false
	if err := s.db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		if meta == nil {
			return nil
		}
		schema := meta.Get(schemaKey)
		if len(schema) != 4 {
			return errDamaged
		}
		layout, upgrading = binary.BigEndian.Uint32(schema), meta.Get(upgradeKey) != nil
		if layout == 1 && len(meta.Get(journalKey)) > 8 { // which layout 1 never had
			return errDamaged
		}
		return nil
	}); err != nil {
		return err
	}
	switch {
	case layout == 0:
		return s.setUp()
	case layout == 1, upgrading && layout <= schemaVersion:
		return s.upgrade(ctx)
	case layout == 2:
		return s.raiseLayout()
	case layout != schemaVersion && layout != encryptedVersion:
		return fmt.Errorf("%w: %w", delivery.ErrUnavailable,
			delivery.Reason(fmt.Sprintf("the file has layout %d, but this version knows layout %d: use the version that wrote it", layout, schemaVersion)))
	default:
		return s.addIndex()
	}
}

// raiseLayout makes a file of layout 2 one of layout 3, so that an earlier version, which would
// not see packed records, refuses it. If the disk is full, the next checkpoint does it, and until
// then each record has an entry of its own, also in the journal.
func (s *Store) raiseLayout() error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(arrivedBucket)
		return errors.Join(err, writeLayout(tx))
	})
	if s.single = isFull(err); s.single {
		return nil
	}
	return err
}

// writeLayout writes which layout the file has.
func writeLayout(tx *bolt.Tx) error {
	return tx.Bucket(metaBucket).Put(schemaKey, number4(schemaVersion))
}

// mayBegin returns an error if there is a journal, which a new database does not have.
func (s *Store) mayBegin() error {
	blank, err := isBlank(s.folder)
	if err != nil || blank {
		return err
	}
	return damagedFile(filepath.Join(s.folder, fileName), "is missing, empty or has lost its last commits, but the journal beside it is full")
}

// setUp makes a new file a database, and its journal before that.
func (s *Store) setUp() error {
	if err := s.mayBegin(); err != nil {
		return err
	}
	var id uuid16
	_, _ = rand.Read(id[:]) // crypto/rand.Read never fails since Go 1.24
	if err := createJournal(s.folder, s.journalSize, id, firstEpoch); err != nil {
		return fmt.Errorf("%w: %w", delivery.ErrUnavailable, err)
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, name := range allBuckets {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return errors.Join(
			writeMeta(tx, databaseID, id[:]), epochs{committed: firstEpoch - 1}.write(tx),
			writeLayout(tx),
		)
	})
}
