package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// maxNotedTypes bounds the memory of notedTypes, of all tenants.
	maxNotedTypes = 200_000
	// readTypesAgain is how long a log that has the most event types is not read again for
	// those that have left it.
	readTypesAgain = time.Minute
	// typesPerRead is how many types one read finds.
	typesPerRead = 200
)

// notedTypes are the event types of each tenant. They are in memory alone: what a process
// before this one noted is in the log by now, or soon to be noted again.
type notedTypes struct {
	mu      sync.Mutex
	tenants map[string]*typesOfTenant
	size    int // after the last note
}

// typesOfTenant are the types that a tenant's log has, or may have soon.
type typesOfTenant struct {
	read   time.Time // when the log was read
	noted  map[string]time.Time
	logged map[string]bool // when the log was read
}

// NoteEventTypes notes types of events, all of them or none.
func (s *Store) NoteEventTypes(_ context.Context, tenant string, types []string, retention time.Duration) error {
	now := s.Now()
	if s.types.isDue(tenant, types, now) {
		logged, err := s.typesInLog(tenant)
		if err != nil {
			s.types.take(tenant, nil, time.Time{}) // the next call reads it
			return err
		}
		s.types.take(tenant, logged, now)
	}
	if !s.types.note(tenant, types, now, now.Add(-retention-delivery.EventGrace)) {
		return delivery.ErrTooManyEventTypes
	}
	return nil
}

// of gives the types of a tenant. The caller holds n.mu.
func (n *notedTypes) of(tenant string) *typesOfTenant {
	t := n.tenants[tenant]
	if t == nil {
		if n.tenants == nil || n.size > maxNotedTypes {
			n.tenants, n.size = make(map[string]*typesOfTenant), 0
		}
		t = &typesOfTenant{noted: make(map[string]time.Time)}
		n.tenants[tenant] = t
	}
	return t
}

// isDue reports whether the log is to be read before types are noted: it never was, or there
// is no room for them.
func (n *notedTypes) isDue(tenant string, types []string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.of(tenant)
	due := t.read.IsZero() || !t.fits(types) && now.Sub(t.read).Abs() >= readTypesAgain
	if due {
		t.read = now
	}
	return due
}

// take takes over what the log has.
func (n *notedTypes) take(tenant string, logged map[string]bool, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.of(tenant)
	before := t.size()
	t.logged, t.read = logged, now
	n.size += t.size() - before
}

// note notes types if there is room for those that are new, once those are forgotten that were
// noted before a time.
func (n *notedTypes) note(tenant string, types []string, now, oldest time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.of(tenant)
	before := t.size()
	defer func() { n.size += t.size() - before }()
	if !t.fits(types) {
		maps.DeleteFunc(t.noted, func(_ string, at time.Time) bool { return at.Before(oldest) })
		if !t.fits(types) {
			return false
		}
	}
	for _, name := range types {
		t.noted[name] = now
	}
	return true
}

func (t *typesOfTenant) size() int { return len(t.noted) + len(t.logged) }

// fits reports whether a tenant may have these types beside its others.
func (t *typesOfTenant) fits(types []string) bool {
	has := func(name string) bool {
		_, noted := t.noted[name]
		return noted || t.logged[name]
	}
	all := len(t.logged)
	for name := range t.noted {
		if !t.logged[name] {
			all++
		}
	}
	room := delivery.MaxEventTypes - all
	return !slices.ContainsFunc(types, func(name string) bool {
		if !has(name) {
			room--
		}
		return !has(name) && room < 0
	})
}

// typesInLog reads which event types the log of a tenant has.
func (s *Store) typesInLog(tenant string) (map[string]bool, error) {
	s.mu.Lock()
	if s.db == nil {
		s.mu.Unlock()
		return nil, errNotOpen
	}
	t := s.state.tenants[tenant]
	s.mu.Unlock()
	logged := make(map[string]bool)
	if t == nil {
		return logged, nil
	}
	numbers := make(map[uint32]bool)
	for next, more := uint32(0), true; more; {
		err := s.read(func(tx *view) error {
			next, more = typesFrom(tx, tenantScope(t.number), next, numbers)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, number := range s.state.types {
		if numbers[number] {
			logged[name] = true
		}
	}
	return logged, nil
}

// typesFrom adds the numbers of event types that a log has, from a number on, and returns
// where to go on; more is false at the end.
func typesFrom(tx *view, of scope, from uint32, numbers map[uint32]bool) (next uint32, more bool) {
	c := tx.bucket(logBucket).cursor()
	for range typesPerRead {
		k, _ := c.Seek(binary.BigEndian.AppendUint32(of[:], from))
		if !bytes.HasPrefix(k, of[:]) || len(k) < kindSize {
			return 0, false
		}
		number := binary.BigEndian.Uint32(k[len(of):])
		numbers[number] = true
		from = number + 1
	}
	return from, true
}
