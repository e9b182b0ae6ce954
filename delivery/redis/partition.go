package redis

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

// never is how long what does not fall due waits.
const never = time.Duration(math.MaxInt64)

var errNotOpen = fmt.Errorf("%w: the store is not open yet", delivery.ErrUnavailable)

// partition is the part of the store in one slot.
type partition struct {
	base string
	hub  *follow.Hub // those who follow the logs of its tenants

	mu      sync.Mutex
	nextDue time.Time // when something falls due, as far as is known here; zero for never
	looked  time.Time // when that was last asked
}

// fallsDue says in how long a delivery falls due.
func (p *partition) fallsDue(in time.Duration) {
	if in == never {
		return
	}
	at := time.Now().Add(in)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nextDue.IsZero() || at.Before(p.nextDue) {
		p.nextDue = at
	}
}

// look says whether a claim is worth its round trip, and if not, in how long.
// If it is, what falls due from now on counts anew, so that nothing that is
// written while the claim runs is forgotten.
func (p *partition) look() (worth bool, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = delivery.ClaimEvery - time.Since(p.looked)
	if !p.nextDue.IsZero() {
		wait = min(wait, time.Until(p.nextDue))
	}
	if wait > 0 {
		return false, wait
	}
	p.nextDue = time.Time{}
	p.looked = time.Now()
	return true, 0
}

// at finds the partition of a tenant.
func (s *Store) at(tenant string) (*partition, error) {
	parts := s.partitions.Load()
	if parts == nil {
		return nil, errNotOpen
	}
	return (*parts)[partitionOf(tenant, len(*parts))], nil
}

// inTurn lists all partitions, beginning with another one each time.
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
