package follow

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	// maxRows is how many rows a feed keeps for followers that are late.
	maxRows = 1000
	// maxNext is how many rows Next returns at most.
	maxNext = 100
)

// row is a request in a feed.
type row struct {
	at      Position
	written delivery.Written
}

// feed has the newest requests of a tenant. Hub.mu guards it; the rows themselves never
// change.
type feed struct {
	from      Position // everything behind it is in rows
	rows      []row
	more      chan struct{} // closed when there is more
	followers int
}

func newFeed(from Position) *feed { return &feed{from: from, more: make(chan struct{})} }

// add adds rows, and drops the oldest if there are too many.
func (f *feed) add(rows []row) {
	f.rows = append(f.rows, rows...)
	if n := len(f.rows) - maxRows; n > 0 {
		f.from = f.rows[n-1].at
		f.rows = slices.Clone(f.rows[n:])
	}
	f.wake()
}

// restart drops everything before a position.
func (f *feed) restart(from Position) {
	f.from, f.rows = from, nil
	f.wake()
}

func (f *feed) wake() {
	close(f.more)
	f.more = make(chan struct{})
}

// after gives what the feed has behind a position.
func (f *feed) after(at Position) []row {
	i, found := slices.BinarySearchFunc(f.rows, at, func(r row, at Position) int { return r.at.Compare(at) })
	if found {
		i++
	}
	return f.rows[i:]
}

// follower is a delivery.Follower.
type follower struct {
	hub    *Hub
	tenant string
	feed   *feed
	at     Position
	text   string // of at, "" until somebody asks for it
	unsure bool   // the source may not know at
	late   []row  // read from the source, but not returned yet
}

// Position is the position behind what Next returned last.
func (f *follower) Position() string {
	if f.text == "" {
		f.text = f.hub.sealer.seal(f.tenant, f.at)
	}
	return f.text
}

// Close ends the following.
func (f *follower) Close() { f.hub.leave(f) }

// Next waits for requests. If the source fails, it tries again.
func (f *follower) Next(ctx context.Context) ([]delivery.Written, error) {
	again := newBackoff()
	for {
		rows, more := f.fromFeed()
		before, sure := f.at, !f.unsure
		var err error
		if more == nil {
			if rows, err = f.fromSource(ctx); errors.Is(err, delivery.ErrLostPlace) {
				return nil, err
			}
		}
		switch {
		case err != nil:
			err = again.Wait(ctx)
		case len(rows) > 0:
			return f.give(rows), nil
		case more != nil:
			err = f.wait(ctx, more)
		case sure && f.at == before: // the feed is ahead of the source, which has lost data
			err = again.Wait(ctx)
		}
		switch {
		case f.hub.ctx.Err() != nil:
			return nil, errClosed
		case err != nil:
			return nil, err
		}
	}
}

func (f *follower) give(rows []row) []delivery.Written {
	written := make([]delivery.Written, len(rows))
	for i := range rows {
		written[i] = rows[i].written
	}
	last := &rows[len(rows)-1]
	f.at, f.text = last.at, last.written.Position
	return written
}

// fromFeed reads rows from the feed; more is closed when the feed has more. It is nil if the
// follower is further back than the feed goes.
func (f *follower) fromFeed() (rows []row, more <-chan struct{}) {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	if f.unsure || len(f.late) > 0 || f.at.Compare(f.feed.from) < 0 {
		return nil, nil
	}
	rows = f.feed.after(f.at)
	return rows[:min(len(rows), maxNext)], f.feed.more
}

// fromSource reads rows from the source, which may have none of this tenant.
func (f *follower) fromSource(ctx context.Context) ([]row, error) {
	if len(f.late) == 0 {
		if err := f.readSource(ctx); err != nil {
			return nil, err
		}
	}
	n := min(len(f.late), maxNext)
	rows := f.late[:n]
	f.late = f.late[n:]
	return rows, nil
}

func (f *follower) readSource(ctx context.Context) error {
	entries, end, err := f.hub.source.Read(ctx, f.at, 0)
	if errors.Is(err, delivery.ErrLostPlace) {
		last, failed := f.hub.source.Last(ctx)
		if failed != nil {
			return failed
		}
		f.at, f.text, f.unsure = last, "", false
		return err
	}
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.Tenant != f.tenant })
	rows, err := f.hub.rows(ctx, f.tenant, entries)
	if err != nil {
		return err
	}
	f.late, f.unsure = rows, false
	if len(rows) == 0 {
		f.at, f.text = end, ""
	}
	return nil
}

// wait waits for more. If nothing comes, it moves the follower to the hub's position, so that
// what other tenants wrote meanwhile need not be read when the follower comes back.
func (f *follower) wait(ctx context.Context, more <-chan struct{}) error {
	select {
	case <-more:
		return nil
	case <-f.hub.ctx.Done():
		return errClosed
	case <-ctx.Done():
	}
	f.text = "" // also if the position stays, or one would see that it did
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	if f.at.Compare(f.feed.from) >= 0 && len(f.feed.after(f.at)) == 0 && f.at.Compare(f.hub.at) < 0 {
		f.at = f.hub.at
	}
	return ctx.Err()
}
