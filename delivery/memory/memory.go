// Package memory is a delivery.Store in memory: for tests, and as an example for writing
// another store.
//
// It is written to be read, not to be fast. A mutex makes each operation one atomic step,
// where another store has a transaction or a script. Its files are in the order of
// delivery.Store: eventtypes, accept, claim, complete, webhooks, audit, read, events, adddelivery,
// follow, stats, received, replays, sweep. The suite delivery/storetest checks that a store keeps the promises of that
// interface, and memory_test.go shows how to run it. examples/store makes a store a module of
// Caddy.
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

// Store is a delivery.Store in memory. Its data ends with the process.
type Store struct {
	began time.Time
	ring  *follow.Ring // the newest requests, in the order in which they were written
	hub   *follow.Hub

	mu       sync.Mutex // guards what follows
	webhooks map[delivery.WebhookRef]*webhook
	versions map[string]int64       // of each tenant's webhooks
	changes  map[string][]uuid.UUID // the webhooks that the last versions changed, newest last
	turn     int64                  // counts the turns that webhooks have had
	arrived  uint64                 // counts the events
	places   int64                  // counts deliveries that have an order key
	events   map[eventKey]*event
	requests map[uuid.UUID]*delivery.Request
	counts   map[counted]int64
	types    map[string]map[string]time.Time  // of each tenant: when each was last noted
	audits   map[string][]delivery.AuditEntry // of each tenant, by their ids
	stored   map[string]map[int64]int64       // of each tenant: bytes by slice
	received map[receivedKey]receivedMark
	replays  map[string][]*replay // of each tenant, newest first
}

var _ delivery.Store = (*Store)(nil)

// webhook is a webhook that exists, with its schedule.
type webhook struct {
	delivery.Webhook

	slow   bool
	turn   int64 // its last one
	starts delivery.Starts
	// pending are its deliveries on the schedule.
	pending map[*event]*scheduled
}

type eventKey struct {
	tenant string
	id     uuid.UUID
}

// event is an event that was accepted.
type event struct {
	delivery.Event

	nonce      uuid.UUID // of the call that had the event, at the index place
	place      int
	expires    time.Time
	deliveries map[uuid.UUID]*scheduled // by webhook
	number     uint64                   // in the order in which events came
	accepted   int                      // how many deliveries it had
	test       bool
}

// scheduled is a delivery. Due is when it falls due or its lease ends, in milliseconds. It
// has a meaning only while the delivery is in its webhook's pending.
type scheduled struct {
	delivery.Delivery

	due  int64
	last uuid.UUID // request
	// order is its key, zero for none, and place its place among those of the same key.
	order delivery.OrderKey
	place int64
}

// New makes an empty store.
func New() *Store {
	s := &Store{
		began:    time.Now(),
		webhooks: make(map[delivery.WebhookRef]*webhook),
		stored:   make(map[string]map[int64]int64),
		received: make(map[receivedKey]receivedMark),
		versions: make(map[string]int64),
		changes:  make(map[string][]uuid.UUID),
		events:   make(map[eventKey]*event),
		requests: make(map[uuid.UUID]*delivery.Request),
		counts:   make(map[counted]int64),
		types:    make(map[string]map[string]time.Time),
		audits:   make(map[string][]delivery.AuditEntry),
		replays:  make(map[string][]*replay),
	}
	s.ring = follow.NewRing(s.rows)
	s.hub = follow.NewHub(s.ring)
	return s
}

// Open does nothing: there is nothing to connect to.
func (s *Store) Open(context.Context) error { return nil }

// Close ends all following.
func (s *Store) Close() error {
	s.hub.Stop()
	s.hub.Wait()
	return nil
}

// Partitions returns 1: all tenants are together.
func (s *Store) Partitions() int { return 1 }

// Partition returns 0, the only one.
func (s *Store) Partition(string) int { return 0 }

// Ping returns nil: the store always answers.
func (s *Store) Ping(context.Context, int) error { return nil }

// SetAside returns 0: there are no records that cannot be read.
func (s *Store) SetAside() int64 { return 0 }

// Now counts from when the store was made, so that setting this machine's clock does not
// change when anything is due.
func (s *Store) Now() time.Time { return s.began.Add(time.Since(s.began)) }

// event finds an event that has not expired.
func (s *Store) event(key eventKey) *event {
	e := s.events[key]
	if e == nil || !s.Now().Before(e.expires) {
		return nil
	}
	return e
}
