package follow

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// ringSize is how many requests of all tenants a Ring remembers: half a megabyte.
	ringSize = 1 << 14
	// ringBatch is how many entries Read returns at most.
	ringBatch = 256
)

// Ring is the Source of a store that is used by only one process. It keeps the newest 16,384
// requests of all tenants in memory. It knows no positions from before it was made.
type Ring struct {
	epoch uint64 // the Major of its positions, which those of another ring do not have
	rows  RowsFunc
	key   [32]byte // of its positions

	mu   sync.Mutex
	last uint64        // how many were added
	kept []Item        // request n is at kept[n % ringSize]
	more chan struct{} // closed when something is added; nil if nobody waits
}

// RowsFunc reads rows of the log, as Source.Rows does.
type RowsFunc func(ctx context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error)

// NewRing makes a ring. It calls rows to read the rows of what was added to it.
func NewRing(rows RowsFunc) *Ring {
	r := &Ring{epoch: rand.Uint64(), rows: rows}
	_, _ = crand.Read(r.key[:]) // which cannot fail
	return r
}

// PositionKey implements Keyed.
func (r *Ring) PositionKey() []byte { return r.key[:] }

// Add adds requests in the order in which they were written. A Read that waits returns those
// of one call together.
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

// Rows implements Source.
func (r *Ring) Rows(ctx context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error) {
	return r.rows(ctx, tenant, ids)
}

// Last is the position behind what was added last.
func (r *Ring) Last(context.Context) (Position, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position(r.last), nil
}

// position is the position behind the first n requests.
func (r *Ring) position(n uint64) Position { return Position{r.epoch, n, All} }

// Read implements Source.
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

// after gives what was added behind a position. If that is nothing, more is closed when
// something is added.
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
