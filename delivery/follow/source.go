// Package follow is what a delivery.Store needs so that its log can be followed.
//
// A store keeps a record of the requests that it wrote recently, in order: a Source. A store
// that is used by only one process can use a Ring, which keeps the record in memory. Other
// stores implement Source on what they have, such as a stream or a table with a rising
// number. A Hub on the Source does the rest: the store's Follow is the Hub's.
//
// While anybody follows, the Hub reads the record, and each row of the log once for all
// who follow its tenant. A follower that cannot keep up, or comes back, reads what it has
// missed by itself, as far back as the record goes. While nobody follows, nothing is read.
//
// A Source that is Keyed, as a Ring is, has its positions sealed.
package follow

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Source is a store's record of the requests that it wrote recently, in order. Its methods
// are called by many goroutines at a time. If one fails, the Hub calls it again.
type Source interface {
	// Last is the position behind the newest entry. Read must know it until the record
	// has dropped it for newer ones, even if the record was empty.
	Last(ctx context.Context) (Position, error)
	// Read returns entries behind a position, as many as it likes, and the position
	// behind them. If there are none, it waits for some, but no longer than wait, and
	// then returns the position that it was given. It returns delivery.ErrLostPlace if
	// entries behind that position may be missing from the record.
	Read(ctx context.Context, after Position, wait time.Duration) (entries []Entry, end Position, err error)
	// Rows reads rows of a tenant's log, without bodies, in any order. It leaves out rows
	// that no longer exist, and those of deleted webhooks.
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
