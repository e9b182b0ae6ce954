// Package flaky is the store in memory with operations that can be made to fail. It is for
// tests of the engine under a fake clock, which no real store can have.
package flaky

import (
	"sync"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

// Store is a delivery.Store in memory whose operations can be made to fail.
type Store struct {
	*memory.Store

	mu    sync.Mutex
	fault func(op string) error
	calls map[string]int
}

var _ delivery.Store = (*Store)(nil)

// New makes an empty store, whose operations do not fail.
func New() *Store { return On(memory.New()) }

// On is a store on one in memory that others may use, too.
func On(store *memory.Store) *Store { return &Store{Store: store, calls: make(map[string]int)} }

// Fail makes operations fail: fault is called before each, with the name of its method. An
// operation that fails does nothing.
func (s *Store) Fail(fault func(op string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = fault
}

// Calls is how often the method with a name was called.
func (s *Store) Calls(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// enter begins an operation.
func (s *Store) enter(op string) error {
	s.mu.Lock()
	s.calls[op]++
	fault := s.fault
	s.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(op) // which may take its time
}
