// Package follow is what a delivery.Store needs so that its log can be followed.
//
// A store keeps a record of the requests that it wrote lately, in their order: a
// Source. A store that one process has to itself can use a Ring, which keeps the record
// in memory; another one reads its own, such as a stream or a table with a rising
// number. A Hub on the Source does the rest: its Follow is the store's.
//
// While anybody follows, the Hub reads the record, and each row of the log once for all
// who follow its tenant. A follower that cannot keep up, or comes back, reads what it has
// missed by itself, as far back as the record goes. While nobody follows, nothing is read.
package follow

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Source is a store's record of the requests that it wrote lately, in their order. Its
// methods are called by many goroutines at a time. The Hub repeats those that fail.
type Source interface {
	// Last is the position behind the newest entry. Read must know it until the record
	// has dropped it for newer ones, even if the record was empty.
	Last(ctx context.Context) (Position, error)
	// Read returns entries behind a position, as many as it likes, and the position
	// behind them. While there are none it waits, but no longer than told, and then
	// returns the position it was given. The error is delivery.ErrLostPlace if the
	// record cannot tell what came behind that position.
	Read(ctx context.Context, after Position, wait time.Duration) (entries []Entry, end Position, err error)
	// Rows reads rows of a tenant's log, without bodies, in any order. It leaves out
	// those that are gone, and those of webhooks that are gone.
	Rows(ctx context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error)
}

// Item is a request that was written to the log.
type Item struct {
	Tenant string
	ID     uuid.UUID
}

// Entry is an item of the record, with the position behind it.
type Entry struct {
	Position
	Item
}
