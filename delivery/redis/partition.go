package redis

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

// never is how long to wait for something that does not fall due.
const never = time.Duration(math.MaxInt64)

var errNotOpen = fmt.Errorf("%w: the store is not open yet", delivery.ErrUnavailable)

// partition is the part of the store in one slot.
type partition struct {
	base string
	hub  *follow.Hub // has the followers of its tenants' logs

	mu      sync.Mutex
	nextDue time.Time // when something falls due, as far as this process knows; zero for never
	claimed time.Time // when the last claim was made
}

// fallsDue records that a delivery falls due after a time.
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

// shouldClaim reports whether a claim is worth its round trip, and if not, when it will
// be. If it is, the caller must claim: what is recorded from now on is kept for the next
// claim, since this one may run too early to find it.
func (p *partition) shouldClaim() (worth bool, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait = delivery.ClaimEvery - time.Since(p.claimed)
	if !p.nextDue.IsZero() {
		wait = min(wait, time.Until(p.nextDue))
	}
	if wait > 0 {
		return false, wait
	}
	p.nextDue = time.Time{}
	p.claimed = time.Now()
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
