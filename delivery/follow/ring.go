package follow

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// ringSize is how many requests of all tenants a Ring remembers: half a megabyte.
	ringSize = 1 << 14
	// ringBatch is how many it gives at a time.
	ringBatch = 256
)

// Ring is the Source of a store that one process has to itself. It keeps the newest 16,384
// requests of all tenants in memory, and knows no position of before it was made.
type Ring struct {
	epoch uint64 // the Major of its positions, by which those of another ring are told
	rows  RowsFunc

	mu   sync.Mutex
	last uint64        // how many were added
	kept []Item        // request n is at kept[n % ringSize]
	more chan struct{} // closed when something is added; nil if nobody waits
}

// RowsFunc reads rows of the log, as Source.Rows does.
type RowsFunc func(ctx context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error)

// NewRing makes a ring; rows reads the rows of what is added to it.
func NewRing(rows RowsFunc) *Ring {
	return &Ring{epoch: rand.Uint64(), rows: rows}
}

// Add adds requests in the order in which they were written. Those of one call are given
// together to whoever waits.
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

// Rows is Source's.
func (r *Ring) Rows(ctx context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error) {
	return r.rows(ctx, tenant, ids)
}

// Last is the position behind what was added last.
func (r *Ring) Last(context.Context) (Position, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position(r.last), nil
}

// position is the place behind so many.
func (r *Ring) position(n uint64) Position { return Position{r.epoch, n, All} }

// Read is Source's.
func (r *Ring) Read(ctx context.Context, after Position, wait time.Duration) ([]Entry, Position, error) {
	entries, more, err := r.after(after)
	if more != nil && wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-more:
			entries, _, err = r.after(after)
		case <-timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil || len(entries) == 0 {
		return nil, after, err
	}
	return entries, entries[len(entries)-1].Position, nil
}

// after is what was added behind a place; if that is nothing, more is closed when
// there is something.
func (r *Ring) after(at Position) (entries []Entry, more <-chan struct{}, err error) {
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
		entries = append(entries, Entry{r.position(n + 1), r.kept[n%ringSize]})
	}
	return entries, nil, nil
}
