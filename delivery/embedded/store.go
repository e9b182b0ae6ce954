package embedded

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/encrypting"
)

// fileName is the name of the database's file in the store's folder.
const fileName = "webhooks.db"

// Store is a delivery.Store in a folder.
type Store struct {
	folder      string
	journalSize int64
	clock       clock
	writer      writer
	ring        *follow.Ring // the requests that were completed since New
	hub         *follow.Hub
	damage      damage
	presence    presence
	types       notedTypes
	encryption  encrypting.State
	receiving   receiving
	// readers is held by whoever reads the database beside the writer.
	readers  sync.RWMutex
	keyless  bool // secrets may stay encrypted: nothing is sent
	log      *zap.Logger
	steps    chan struct{} // has those that wait for the writer
	copies   sync.Mutex    // is held by who copies a schedule
	stepWork int
	commitTx func(*bolt.Tx) error
	// beside is for Claim to read beside the writer; nil while no transaction is open.
	beside atomic.Pointer[pendingChanges]

	// The rest belongs to the writer while the store is open.
	file         *bolt.DB
	disk         *os.File // the file of the database, which that closes
	journal      *journal
	view         *view // has all changes in the journal; nil if there are none
	settingAside bool
	single       bool // the file still says layout 2, since the disk was full: see raiseLayout
	scratch      []byte
	wipe         wipe
	auditSwept   uint32 // the tenant with whose audit log Sweep goes on

	receivedSwept receivedSweep

	// mu guards what follows, and is never held while the disk is written.
	mu    sync.Mutex
	db    *bolt.DB // nil unless open
	state *state
	dirty bool // the journal is not empty
	// broken says why the file must not be written any more.
	broken error
	full   bool // the last write has found no room
}

var _ delivery.Store = (*Store)(nil)

// Option changes what New makes.
type Option func(*Store)

// WithLogger gives the store a log, for what an administrator should know.
func WithLogger(log *zap.Logger) Option {
	return func(s *Store) { s.log, s.clock.steps.Log, s.encryption.Log = log, log, log }
}

// WithKeyring encrypts secrets, and payloads if the keyring does.
func WithKeyring(keys *encryption.Keyring) Option {
	return func(s *Store) { s.UseKeyring(keys) }
}

// New makes a store in a folder, which Open creates if it does not exist.
func New(folder string, options ...Option) *Store {
	s := &Store{
		folder: folder, journalSize: journalSize, log: zap.NewNop(), encryption: encrypting.State{Log: zap.NewNop()},
		steps: make(chan struct{}, stepsAtOnce), stepWork: stepWork, commitTx: (*bolt.Tx).Commit,
		receiving: receiving{marks: make(map[string]receivingMark)},
	}
	s.clock.read = readClock()
	s.clock.steps.Log, s.clock.steps.Whose = s.log, "this machine's clock"
	for _, option := range options {
		option(s)
	}
	s.ring = follow.NewRing(s.rows)
	s.hub = follow.NewHub(s.ring)
	s.writer.batches.Commit = s.runAll
	return s
}

var errNotOpen = fmt.Errorf("%w: %w", delivery.ErrUnavailable, delivery.Reason("the store is not open"))

// Partitions returns 1: all tenants are in one file.
func (s *Store) Partitions() int { return 1 }

// Partition returns 0, the only one.
func (s *Store) Partition(string) int { return 0 }

// Ping returns an error if the files cannot be read or written, or a part of them.
func (s *Store) Ping(context.Context, int) error {
	if err := s.usable(); err != nil {
		return err
	}
	if err := s.presence.check(0); err != nil {
		return err
	}
	if err := s.tryFull(); err != nil {
		return err
	}
	return s.damage.health()
}

// tryFull tries to write to the database if the last write has found no room.
func (s *Store) tryFull() error {
	s.mu.Lock()
	full := s.full
	s.mu.Unlock()
	if !full {
		return nil
	}
	return s.write(alone, func(t *txn) error {
		t.whole = true // the journal may have room for a little
		return t.journaled(metaBucket).put(triedKey, number8(uint64(t.at.wall)))
	})
}

// usable returns an error if the files cannot be read or written at all.
func (s *Store) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return errNotOpen
	}
	return s.broken
}

// Now is this machine's clock.
func (s *Store) Now() time.Time {
	now, _ := s.clock.read()
	return now
}

// Pending counts the pending deliveries.
func (s *Store) Pending(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return 0, errNotOpen
	}
	return int64(s.state.pending), nil
}

// read runs a function that only reads. It sees everything that was written before: while
// the journal is not empty, only the writer's transaction has all of that.
func (s *Store) read(do func(*view) error) error {
	s.mu.Lock()
	db, dirty := s.db, s.dirty
	s.mu.Unlock()
	switch {
	case db == nil:
		return errNotOpen
	case dirty:
		return s.write(reading, func(t *txn) error { return do(t.view) })
	default:
		err := guarded(func() error {
			s.readers.RLock()
			defer s.readers.RUnlock()
			return db.View(func(tx *bolt.Tx) error { return do(&view{tx: tx, damage: &s.damage}) })
		})
		s.wakeToSetAside()
		return s.noticed(err)
	}
}
