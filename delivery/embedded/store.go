package embedded

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

// fileName is that of the file in the store's folder.
const fileName = "webhooks.db"

// Store is a delivery.Store in a folder.
type Store struct {
	folder      string
	journalSize int64
	clock       clock
	writer      writer
	ring        *follow.Ring // what was completed since the store was made
	hub         *follow.Hub

	// The writer's own, while the store is open.
	file    *bolt.DB
	journal *journal
	view    *view // has what is in the journal, nil if that is nothing
	scratch []byte

	// mu guards what follows, and is never held while the disk is written.
	mu    sync.Mutex
	db    *bolt.DB // nil unless open
	state *state
	dirty bool // there is something in the journal
	// broken says why the file is not to be written any more.
	broken error
}

var _ delivery.Store = (*Store)(nil)

// Option changes what New makes.
type Option func(*Store)

// WithLogger has a store say in a log what whoever looks after it should know.
func WithLogger(log *zap.Logger) Option { return func(s *Store) { s.clock.steps.Log = log } }

// New makes a store in a folder, which Open makes if it is not there.
func New(folder string, options ...Option) *Store {
	s := &Store{folder: folder, journalSize: journalSize}
	s.clock.read = readClock()
	s.clock.steps.Log, s.clock.steps.Whose = zap.NewNop(), "this machine's clock"
	for _, option := range options {
		option(s)
	}
	s.ring = follow.NewRing(s.rows)
	s.hub = follow.NewHub(s.ring)
	s.writer.batches.Commit = s.runAll
	return s
}

var errNotOpen = fmt.Errorf("%w: it is not open", delivery.ErrUnavailable)

// Ping says whether the file can be read and written.
func (s *Store) Ping(context.Context) error {
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

// read runs what only reads. It sees all that was written before: what is in the
// journal only the writer's transaction has.
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
		return guarded(func() error { return db.View(func(tx *bolt.Tx) error { return do(&view{tx: tx}) }) })
	}
}

var errDamaged = errors.New("the store is damaged: stop Caddy, then restore its folder from a backup, or move it away to start with an empty store")

// guarded turns what the database does when it comes upon a damaged page, which is
// to panic or to touch what is not mapped, into an error.
func guarded(do func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %w (%v)", delivery.ErrUnavailable, errDamaged, p)
		}
	}()
	return do()
}
