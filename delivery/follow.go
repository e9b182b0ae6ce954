package delivery

import (
	"context"
	"sync"
)

// maxFollowers is how many may follow the log of one tenant in one process.
const maxFollowers = 64

// Follower reads the requests of a tenant as they are written to the log, in that
// order, those of other processes on the same store included. It is for one
// goroutine.
type Follower interface {
	// Position is the place in the order behind which Next goes on. It rises, and
	// means something to Store.Follow alone.
	Position() string
	// Next waits for requests and returns at least one, without bodies; or the
	// context's error; or ErrLostPlace, after which it goes on from now. Requests
	// of webhooks that are gone are left out.
	Next(ctx context.Context) ([]Written, error)
	// Close ends the following.
	Close()
}

// Written is a request that was written to the log.
type Written struct {
	Request

	// Position is the place behind it.
	Position string
}

// Follow follows a tenant's log behind a position, or from now on if that is empty;
// ErrBusy if too many follow it here. The follower must be closed, before the engine
// is.
func (e *Engine) Follow(ctx context.Context, tenant, after string) (Follower, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	if !e.followers.enter(tenant) {
		return nil, ErrBusy
	}
	f, err := e.store.Follow(ctx, tenant, after)
	if err != nil {
		e.followers.leave(tenant)
		return nil, err
	}
	return &countedFollower{f, func() { e.followers.leave(tenant) }}, nil
}

// countedFollower is one that has a place among the tenant's.
type countedFollower struct {
	Follower

	leave func()
}

func (f *countedFollower) Close() {
	f.Follower.Close()
	f.leave()
}

// followers counts who follows, by tenant.
type followers struct {
	mu       sync.Mutex
	byTenant map[string]int
}

// enter takes a place; false if there is none.
func (f *followers) enter(tenant string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byTenant[tenant] >= maxFollowers {
		return false
	}
	if f.byTenant == nil {
		f.byTenant = make(map[string]int)
	}
	f.byTenant[tenant]++
	return true
}

func (f *followers) leave(tenant string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byTenant[tenant]--; f.byTenant[tenant] == 0 {
		delete(f.byTenant, tenant)
	}
}
