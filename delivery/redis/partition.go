package redis

import (
	"fmt"
	"sync"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/encrypting"
)

var errNotOpen = fmt.Errorf("%w: %w", delivery.ErrUnavailable, delivery.Reason("the store is not open yet"))

// partition is the part of the store in one slot.
type partition struct {
	base string
	hub  *follow.Hub // has the followers of its tenants' logs
	// encryption is the store's.
	encryption *encrypting.State

	mu     sync.Mutex
	looked lookedAt // how far lookFurther has come
	// leasesFrom is the first end of leases that findLeased has not looked at.
	leasesFrom string
}

// lookedAt is where to go on: with which of several things, and its cursor.
type lookedAt struct {
	of     int
	cursor string
}

// at finds the partition of a tenant.
func (s *Store) at(tenant string) (*partition, error) {
	parts := s.partitions.Load()
	if parts == nil {
		return nil, errNotOpen
	}
	return (*parts)[partitionOf(tenant, len(*parts))], nil
}

// number finds a partition by its number.
func (s *Store) number(n int) (*partition, error) {
	parts := s.partitions.Load()
	if parts == nil {
		return nil, errNotOpen
	}
	return (*parts)[n], nil
}

// Partitions is how many partitions the store has.
func (s *Store) Partitions() int {
	if parts := s.partitions.Load(); parts != nil {
		return len(*parts)
	}
	return 1
}

// Partition is the partition of a tenant.
func (s *Store) Partition(tenant string) int { return partitionOf(tenant, s.Partitions()) }

// inTurn lists all partitions, starting with a different one each time.
func (s *Store) inTurn() ([]*partition, error) {
	parts := s.partitions.Load()
	if parts == nil {
		return nil, errNotOpen
	}
	n := len(*parts)
	first := int(s.turn.Add(1)) % n
	list := make([]*partition, 0, n)
	list = append(list, (*parts)[first:]...)
	return append(list, (*parts)[:first]...), nil
}
