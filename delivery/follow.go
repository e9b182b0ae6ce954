package delivery

import (
	"cmp"
	"context"
)

const (
	// MaxTenantFollowers is how many followers the log of one tenant may have in one process,
	// unless the settings say less.
	MaxTenantFollowers = 64
	// maxFollowers is how many there may be in all, and as many first ones of a tenant.
	maxFollowers = 1024
)

// Follower reads the requests of a tenant in the order in which they are written to the
// log, including those that other processes on the same store write. One goroutine at a
// time may use it.
type Follower interface {
	// Position is the place in that order after which Next continues. It only
	// rises. Only Store.Follow can interpret it.
	Position() string
	// Next waits for requests and returns at least one, without bodies; or the
	// context's error; or ErrLostPlace, after which it continues from now. It leaves
	// out requests of deleted webhooks.
	Next(ctx context.Context) ([]Written, error)
	// Close releases the follower.
	Close()
}

// Written is a request that was written to the log.
type Written struct {
	Request

	// Position is the place right after it.
	Position string
}

// Follow follows a tenant's log after a position, or from now on if that is empty;
// ErrBusy if there are too many followers in this process. The caller must close the
// follower before the engine is closed.
func (e *Engine) Follow(ctx context.Context, tenant, after string) (Follower, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	if !e.followers.acquireUpTo(tenant, 1, cmp.Or(e.settings().TenantFollowers, MaxTenantFollowers)) {
		return nil, ErrBusy
	}
	f, err := e.store.Follow(ctx, tenant, after)
	if err != nil {
		e.followers.release(tenant, 1)
		return nil, err
	}
	return &countedFollower{f, func() { e.followers.release(tenant, 1) }}, nil
}

// countedFollower is a follower that counts against the tenant's quota.
type countedFollower struct {
	Follower

	leave func()
}

func (f *countedFollower) Close() {
	f.Follower.Close()
	f.leave()
}
