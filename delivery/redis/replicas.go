package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// defaultWaitTimeout is how long replicas have, unless Options.WaitTimeout says otherwise.
const defaultWaitTimeout = time.Second

// replication says how many replicas must have what was accepted, and how long they have to
// confirm it.
type replication struct {
	replicas int // 0 to ask none
	timeout  time.Duration
}

// confirmation is the answer of replicas.
type confirmation struct {
	replication

	write *redis.StatusCmd
	wait  *redis.Cmd
}

// confirm adds to a pipeline what waits for the replicas. Redis waits until they have what
// this very connection wrote last. So it writes something: if the events were stored before,
// by a call whose answer was lost, the script has written nothing.
func (r replication) confirm(ctx context.Context, pipe redis.Pipeliner, base string) *confirmation {
	return &confirmation{
		replication: r,
		write:       pipe.Set(ctx, waitedKey(base), "", 0),
		wait:        pipe.Do(ctx, "WAIT", r.replicas, r.timeout.Milliseconds()),
	}
}

// err is neither ErrUnavailable nor ErrFull: Redis has the events. When the call is repeated,
// it waits for the replicas again.
func (c *confirmation) err() error {
	if err := c.write.Err(); err != nil {
		return fmt.Errorf("%w: %w", delivery.Reason("cannot tell whether replicas have what Redis has accepted"), err)
	}
	n, err := c.wait.Int()
	if err != nil {
		return fmt.Errorf("%w: %w", delivery.Reason("cannot tell whether replicas have what Redis has accepted"), err)
	}
	if n < c.replicas {
		return delivery.Reason(fmt.Sprintf("Redis has accepted it, but %d of %d replicas confirmed that within %s (wait_replicas)", n, c.replicas, c.timeout))
	}
	return nil
}
