package follow

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// ringSize is how many requests of all tenants a Ring remembers: half a megabyte.
	ringSize = 1 << 14
	// ringBatch is how many it gives at a time.
	ringBatch = 256
)

// Ring is the record of a store that one process has: in memory. It is a Source but
// for the rows. What was written before it was made it does not know.
type Ring struct {
	epoch uint64

	mu   sync.Mutex
	last uint64        // how many were added
	kept []Item        // request n is at kept[n % ringSize]
	more chan struct{} // closed when something is added; nil if nobody waits
}

// NewRing makes a ring. The time is its own: the positions of one that was made
// at another time are not known.
func NewRing(made time.Time) *Ring { return &Ring{epoch: uint64(made.UnixNano())} }

// Add adds requests that were written at the same time, so that whoever waits gets them
// together.
func (r *Ring) Add(items ...Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range items {
		if r.last < ringSize {
			r.kept = append(r.kept, item)
		} else {
			r.kept[r.last%ringSize] = item
		}
		r.last++
	}
	if len(items) > 0 && r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// Last is the place behind what was added last.
func (r *Ring) Last(context.Context) (Position, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position(r.last), nil
}

// position is the place behind so many.
func (r *Ring) position(n uint64) Position { return Position{r.epoch, n, All} }

// Read is Source's.
func (r *Ring) Read(ctx context.Context, after Position, wait time.Duration) ([]Done, Position, error) {
	done, more, err := r.after(after)
	if more != nil && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-more:
			done, _, err = r.after(after)
		case <-timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil || len(done) == 0 {
		return nil, after, err
	}
	return done, done[len(done)-1].Position, nil
}

// after is what was added behind a place; if that is nothing, more is closed when
// there is something.
func (r *Ring) after(at Position) (done []Done, more <-chan struct{}, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at != r.position(at.Minor) || at.Minor > r.last || at.Minor+ringSize < r.last {
		return nil, nil, delivery.ErrLostPlace
	}
	if at.Minor == r.last {
		if r.more == nil {
			r.more = make(chan struct{})
		}
		return nil, r.more, nil
	}
	for n := at.Minor; n < min(r.last, at.Minor+ringBatch); n++ {
		done = append(done, Done{r.position(n + 1), r.kept[n%ringSize]})
	}
	return done, nil, nil
}
