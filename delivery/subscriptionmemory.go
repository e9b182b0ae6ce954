package delivery

import (
	"container/list"
	"context"
	"sync"
)

// subscriptionMemory remembers tenants' subscriptions, those used last as far as there is room.
// It may be out of date: Accept refuses targets that were chosen from an old version, upon which
// the caller says so and asks again.
type subscriptionMemory struct {
	store  Store
	limits subscriptionLimits
	single recordCache

	mu      sync.Mutex
	tenants map[string]*remembered
	used    list.List // of *remembered, the last used first
	size    int
}

// remembered is what is known of one tenant. The memory's lock guards it.
type remembered struct {
	tenant string
	place  *list.Element
	of     *subscriptions // nil until they are read
	size   int            // that it counts for
	// changes counts what was learned of changes. Current says that there were none since of
	// was read.
	changes int
	current bool
	// refused is the version that Accept has refused last: if the store has no other, something
	// was lost that only reading all puts right.
	refused int64
	reading *subscriptionRead // in progress, nil if there is none
}

// subscriptionRead is a read of one tenant's subscriptions, for all who need them.
type subscriptionRead struct {
	done chan struct{}
	of   *subscriptions
	err  error
}

func newSubscriptionMemory(store Store, limits subscriptionLimits) *subscriptionMemory {
	return &subscriptionMemory{
		store: store, limits: limits, tenants: make(map[string]*remembered),
		single: recordCache{most: limits.single},
	}
}

// get returns a version of the tenant's subscriptions, which knows the types. Whoever needs them
// while they are read waits for that; nobody waits for those of other tenants, unless many have
// large ones.
func (m *subscriptionMemory) get(ctx context.Context, tenant string, types []string, reads *reads) (*subscriptions, error) {
	for waited := 0; ; waited++ {
		m.mu.Lock()
		r := m.find(tenant)
		if r.of != nil && r.current && r.of.knows(types) {
			m.mu.Unlock()
			return r.of, nil
		}
		read := r.reading
		if read == nil {
			return m.read(r, types, reads) // and unlock
		}
		m.mu.Unlock()
		select {
		case <-read.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		switch {
		case read.err != nil:
			return nil, read.err
		case waited > 0 && read.of.knows(types): // it began after this was called
			return read.of, nil
		}
	}
}

// read reads a tenant's subscriptions. The caller has the lock, which it gives back.
func (m *subscriptionMemory) read(r *remembered, types []string, reads *reads) (*subscriptions, error) {
	read := &subscriptionRead{done: make(chan struct{})}
	since, refused, changes := r.of, r.refused, r.changes
	r.reading, r.refused = read, 0
	m.mu.Unlock()
	reads.running.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), maxReadTime) // others wait, too
	defer cancel()
	read.of, read.err = readSubscriptions(ctx, m.store, &m.limits, r.tenant, since, types, reads)
	if read.err == nil && since != nil && read.of == since && refused == since.version {
		read.of, read.err = readSubscriptions(ctx, m.store, &m.limits, r.tenant, nil, types, reads)
	}
	reads.running.Add(-1)
	m.mu.Lock()
	defer m.mu.Unlock()
	r.reading = nil
	if read.err == nil {
		r.of, r.current = read.of, r.changes == changes
	}
	m.count(r)
	close(read.done)
	return read.of, read.err
}

// find finds what is known of a tenant, or begins to remember it. The caller has the lock.
func (m *subscriptionMemory) find(tenant string) *remembered {
	r := m.tenants[tenant]
	if r == nil {
		r = &remembered{tenant: tenant}
		r.place = m.used.PushFront(r)
		m.tenants[tenant] = r
		return r
	}
	m.used.MoveToFront(r.place)
	if r.of != nil && r.of.size+int(r.of.listed.Load()) > r.size {
		m.count(r)
	}
	return r
}

// count brings up to date how much is remembered, and forgets tenants if that is too much. The
// caller has the lock.
func (m *subscriptionMemory) count(r *remembered) {
	m.size -= r.size
	r.size = 0
	if r.of == nil { // it could not be read
		m.used.Remove(r.place)
		delete(m.tenants, r.tenant)
		return
	}
	r.size = len(r.tenant) + r.of.size + int(r.of.listed.Load())
	m.size += r.size
	for place := m.used.Back(); place != nil && m.size > m.limits.all; {
		last := place.Value.(*remembered)
		place = place.Prev()
		if last.reading == nil && last != r {
			m.size -= last.size
			m.used.Remove(last.place)
			delete(m.tenants, last.tenant)
		}
	}
}

// changed has the tenant's subscriptions looked after before they are used again.
func (m *subscriptionMemory) changed(tenant string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.tenants[tenant]; r != nil {
		r.changes++
		r.current = false
	}
}

// stale says that the store has refused targets that were chosen from a version.
func (m *subscriptionMemory) stale(tenant string, version int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.tenants[tenant]; r != nil && r.of != nil && r.of.version == version && r.current {
		r.changes++
		r.current, r.refused = false, version
	}
}
