package delivery

import "context"

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
	if !e.followers.acquire(tenant, 1) {
		return nil, ErrBusy
	}
	f, err := e.store.Follow(ctx, tenant, after)
	if err != nil {
		e.followers.release(tenant, 1)
		return nil, err
	}
	return &countedFollower{f, func() { e.followers.release(tenant, 1) }}, nil
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
