package follow

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

const (
	// readTime limits one Read of the source, and so how long a hub goes on reading after
	// its last follower has left.
	readTime = 2 * time.Second
	// How long to wait before the source is tried again after an error: followers go on soon
	// after the source is back.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = time.Second
)

func newBackoff() backoff.Backoff { return backoff.Backoff{First: firstBackoff, Most: maxBackoff} }

// Hub has the followers of a source. While there are any, one goroutine reads it.
//
// A store makes it with NewHub, and calls Stop and then Wait when it is closed.
type Hub struct {
	source  Source
	sealer  sealer
	ctx     context.Context
	cancel  context.CancelFunc
	readers sync.WaitGroup

	mu    sync.Mutex
	feeds map[string]*feed // of the tenants that are followed
	// reading says that the goroutine runs. Then the feeds have everything up to at.
	reading bool
	at      Position
}

// NewHub makes a hub. It starts nothing.
func NewHub(source Source) *Hub {
	h := &Hub{source: source, sealer: newSealer(source), feeds: make(map[string]*feed)}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// Stop ends all following: a Next that waits returns an error. Stop does not wait for calls
// of the source to end.
func (h *Hub) Stop() {
	h.mu.Lock() // Follow may be about to start something
	defer h.mu.Unlock()
	h.cancel()
}

// Wait waits, after Stop, until the source is no longer read.
func (h *Hub) Wait() { h.readers.Wait() }

var errClosed = fmt.Errorf("%w: %w", delivery.ErrUnavailable, delivery.Reason("the store is closed"))

// Follow follows a tenant's log, as delivery.Store's Follow does.
func (h *Hub) Follow(ctx context.Context, tenant, after string) (delivery.Follower, error) {
	last, err := h.source.Last(ctx)
	if err != nil {
		return nil, err
	}
	f := &follower{hub: h, tenant: tenant, at: last}
	if after != "" {
		f.at, f.unsure = h.sealer.open(tenant, after), true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil, errClosed
	}
	if !h.reading {
		h.reading, h.at = true, last
		h.readers.Go(h.read)
	}
	if f.feed = h.feeds[tenant]; f.feed == nil {
		f.feed = newFeed(h.at)
		h.feeds[tenant] = f.feed
	}
	f.feed.followers++
	return f, nil
}

func (h *Hub) leave(f *follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.feed.followers--; f.feed.followers == 0 {
		delete(h.feeds, f.tenant)
	}
}

// read fills the feeds until there are none.
func (h *Hub) read() {
	again := newBackoff()
	for {
		h.mu.Lock()
		at := h.at
		if len(h.feeds) == 0 || h.ctx.Err() != nil {
			h.reading = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		if err := h.step(at); err != nil {
			_ = again.Wait(h.ctx) // the loop ends with the context
		} else {
			again.Reset()
		}
	}
}

// step reads what is behind a position into the feeds.
func (h *Hub) step(at Position) error {
	entries, end, err := h.source.Read(h.ctx, at, readTime)
	if errors.Is(err, delivery.ErrLostPlace) {
		if end, err = h.source.Last(h.ctx); err == nil {
			h.push(nil, end)
		}
		return err
	}
	if err != nil {
		return err
	}
	ids := make(map[string][]Entry) // of the tenants that are followed
	h.mu.Lock()
	for tenant := range h.feeds {
		ids[tenant] = nil
	}
	h.mu.Unlock()
	for _, e := range entries {
		if of, followed := ids[e.Tenant]; followed {
			ids[e.Tenant] = append(of, e)
		}
	}
	rows := make(map[string][]row, len(ids))
	for tenant, entries := range ids {
		if rows[tenant], err = h.rows(h.ctx, tenant, entries); err != nil {
			return err
		}
	}
	h.push(rows, end)
	return nil
}

// push adds what was written up to a position to the feeds. Feeds that have no rows here
// restart there: their followers read what came before by themselves.
func (h *Hub) push(rows map[string][]row, end Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = end
	for tenant, f := range h.feeds {
		more, known := rows[tenant]
		switch {
		case !known:
			f.restart(end)
		case len(more) > 0:
			f.add(more)
		}
	}
}

// rows reads the rows of entries of a tenant, in the order of the entries.
func (h *Hub) rows(ctx context.Context, tenant string, entries []Entry) ([]row, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	ids := make([]uuid.UUID, len(entries))
	for i := range entries {
		ids[i] = entries[i].ID
	}
	found, err := h.source.Rows(ctx, tenant, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[uuid.UUID]*delivery.Request, len(found))
	for i := range found {
		byID[found[i].ID] = &found[i]
	}
	rows := make([]row, 0, len(found))
	for i := range entries {
		if r := byID[entries[i].ID]; r != nil {
			rows = append(rows, row{entries[i].Position, delivery.Written{Request: *r, Position: h.sealer.seal(tenant, entries[i].Position)}})
		}
	}
	return rows, nil
}
