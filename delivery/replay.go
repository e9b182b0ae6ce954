package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// Errors of what is done to replays.
var (
	// ErrReplayRunning: a tenant has one replay at a time.
	ErrReplayRunning = errors.New("a replay of the tenant is running")
	// ErrReplayLost: somebody else holds the replay, or there is no such replay.
	ErrReplayLost = errors.New("somebody else holds the replay")
)

// ReplayState says where a replay has come to.
type ReplayState string

// A replay ends when it has dealt with all deliveries, or is canceled.
const (
	ReplayRunning  ReplayState = "running"
	ReplayDone     ReplayState = "done"
	ReplayCanceled ReplayState = "canceled"
)

// ReplayStatus says which deliveries a replay sends again: those that have failed for good and not
// succeeded since, those that have succeeded, or all that have been attempted. ReplayMissed is of a
// webhook: the replay sends it the events that it wants now and has no delivery of, which each get one.
type ReplayStatus string

// See ReplayStatus.
const (
	ReplayFailed  ReplayStatus = "failed"
	ReplaySuccess ReplayStatus = "success"
	ReplayAny     ReplayStatus = "any"
	ReplayMissed  ReplayStatus = "missed"
)

// ReplayFilter selects deliveries of a tenant. A zero member selects all, but for Status.
type ReplayFilter struct {
	WebhookID uuid.UUID
	EventType string
	Status    ReplayStatus
	// Since, inclusive, and Until, exclusive, are of when the last request of a delivery began; of
	// events that were missed, of when they were received.
	Since, Until time.Time
}

// Replay sends deliveries of a tenant again, each once. It is state in the store, and worked off by
// whoever holds it.
type Replay struct {
	Tenant string
	ID     uuid.UUID // of version 7; its time is CreatedAt, by the store's clock
	Filter ReplayFilter
	State  ReplayState
	// Total is how many deliveries there are to deal with. Done counts those that were, Succeeded
	// and Failed those of them that were sent, by how that ended.
	Total, Done, Succeeded, Failed int64
	FinishedAt                     time.Time // zero while it is running

	// What follows is for whoever holds it.

	// Counted says that Total is known. Until then, Place is of the search that counts.
	Counted bool
	// Place is where the search for deliveries goes on, "" at the beginning. Searched says that
	// it has ended.
	Place    string
	Searched bool
	// Sending are deliveries that may have been sent, and are not counted as Done.
	Sending []ReplayedDelivery
	// Apart are webhooks whose deliveries are searched for by themselves: see replayPart.
	Apart []ReplayApart
}

// CreatedAt is when the replay was asked for, to the millisecond, by the store's clock. It deals
// with deliveries as they were then.
func (r *Replay) CreatedAt() time.Time { return IDTime(r.ID) }

// ReplayedDelivery is a delivery that a replay deals with.
type ReplayedDelivery struct {
	WebhookID, EventID uuid.UUID
	// Last is its last request before the replay; none if the event was missed.
	Last uuid.UUID
}

// ReplayApart is where the search for the deliveries of one webhook goes on: before this request.
type ReplayApart struct{ WebhookID, Before uuid.UUID }

// MaxReplays is how many replays of a tenant are kept, the newest.
const MaxReplays = 100

// replayStore is the part of a Store that keeps replays.
type replayStore interface {
	// CreateReplay adds a replay that is running and that nobody holds; ErrReplayRunning if the
	// tenant has another one that is running. Of more than MaxReplays, the oldest are removed.
	// What is not running may be removed when the retention has passed since it was created, and
	// is when it has passed since the tenant's last replay ended.
	CreateReplay(ctx context.Context, r *Replay, retention time.Duration) error
	// Replays reads a tenant's replays, newest first.
	Replays(ctx context.Context, tenant string) ([]Replay, error)
	// ClaimReplays gives replays of a partition that are running and that nobody holds, as many
	// as asked for at most, and has them held for so long.
	ClaimReplays(ctx context.Context, partition int, holder uuid.UUID, lease time.Duration, most int) ([]Replay, error)
	// SaveReplay writes how far a replay has come, and has it held for so long from now on, or
	// by nobody if it has ended or the lease is 0. ErrReplayLost if another holder has it. It
	// returns the state in which it is now: one that was canceled stays so, and what is written
	// of it are its counts.
	SaveReplay(ctx context.Context, r *Replay, holder uuid.UUID, lease, retention time.Duration) (ReplayState, error)
	// CancelReplay cancels a replay that is running, and leaves another one as it is.
	// ErrNotFound if there is none with the id.
	CancelReplay(ctx context.Context, tenant string, id uuid.UUID) error
}
