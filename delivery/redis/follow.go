package redis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

const (
	// entriesPerRead and rowsPerRead limit what is read of the stream at a time. The
	// last entry is read as a whole, and may have as many rows as a script writes.
	entriesPerRead = 32
	rowsPerRead    = 1000
	// rowsPerScript is how many rows one script reads.
	rowsPerScript = 500
)

// Follow follows a tenant's log, including what other processes write to it.
func (s *Store) Follow(ctx context.Context, tenant, after string) (delivery.Follower, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, err
	}
	return p.hub.Follow(ctx, tenant, after)
}

func (s *Store) hubs() (hubs []*follow.Hub) {
	if parts := s.partitions.Load(); parts != nil {
		for _, p := range *parts {
			hubs = append(hubs, p.hub)
		}
	}
	return hubs
}

// source is a partition's stream of requests that have ended. A position is the id of an
// entry and, within the entry, a number of the tenant's requests.
type source struct {
	store     *Store
	partition *partition
	key       []byte // of its positions
}

// PositionKey is the same for all processes on this Redis.
func (s *source) PositionKey() []byte { return s.key }

// Last is the position behind the last entry.
func (s *source) Last(ctx context.Context) (follow.Position, error) {
	reply, err := s.store.run(ctx, lastEndedScript, s.partition.base)
	if err != nil {
		return follow.Position{}, err
	}
	if len(reply) != 2 {
		return follow.Position{}, errUnknownReply
	}
	id, _ := reply[1].(string)
	return entryPosition(id)
}

// entryPosition is the position behind all of an entry.
func entryPosition(id string) (follow.Position, error) {
	p := follow.ParsePosition(id)
	if p.Index != follow.All {
		return p, errUnknownReply
	}
	return p, nil
}

// Read reads the entries behind a position, and waits while there are none. None is missing
// if the position's own entry is still there, since the oldest entries are removed first.
func (s *source) Read(ctx context.Context, after follow.Position, wait time.Duration) ([]follow.Entry, follow.Position, error) {
	entry := after
	entry.Index = follow.All
	key, id := endedKey(s.partition.base), entry.String()
	args := &redis.XReadArgs{Streams: []string{key, id}, Count: entriesPerRead, Block: wait}
	if wait == 0 {
		args.Block = -1 // 0 would wait for ever
	}
	node, err := nodeOf(ctx, s.store.conns.get().waiting, s.partition.base)
	if err != nil {
		return nil, after, s.store.unreachable(err)
	}
	pipe := node.Pipeline()
	own := pipe.XRange(ctx, key, id, id)
	next := pipe.XRead(ctx, args)
	_, _ = pipe.Exec(ctx) // each command has its own error
	entries, err := own.Result()
	if err := s.store.mend(ctx, s.partition.base, key, err); err != nil {
		return nil, after, err
	}
	if len(entries) == 0 {
		return nil, after, delivery.ErrLostPlace
	}
	streams, err := next.Result()
	switch {
	case errors.Is(err, redis.Nil):
	case err != nil:
		return nil, after, s.store.wrap(err)
	case len(streams) != 1:
		return nil, after, errUnknownReply
	default:
		entries = append(entries, streams[0].Messages...)
	}
	return decodeEnded(entries, after)
}

// decodeEnded decodes entries, the first of which may have been read in part before.
func decodeEnded(entries []redis.XMessage, after follow.Position) (found []follow.Entry, end follow.Position, err error) {
	for i := range entries {
		if end, err = entryPosition(entries[i].ID); err != nil {
			return nil, after, err
		}
		for tenant, packed := range entries[i].Values {
			ids, _ := packed.(string)
			at := end
			for at.Index = 1; len(ids) >= 16; at.Index++ {
				if at.Compare(after) > 0 {
					found = append(found, follow.Entry{Position: at, Item: follow.Item{Tenant: tenant, ID: uuid.UUID([]byte(ids[:16]))}})
				}
				ids = ids[16:]
			}
		}
		if len(found) >= rowsPerRead {
			break
		}
	}
	return found, end, nil
}

// Rows reads rows by their ids.
func (s *source) Rows(ctx context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error) {
	var rows []delivery.Request
	for chunk := range slices.Chunk(ids, rowsPerScript) {
		more, err := s.store.rows(ctx, s.partition, tenant, chunk)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}
