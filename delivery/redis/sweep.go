package redis

import (
	"context"
	"time"
)

// Sweep does one step of housekeeping in each partition.
func (s *Store) Sweep(ctx context.Context, retention time.Duration) (more bool, err error) {
	parts, err := s.inTurn()
	if err != nil {
		return false, err
	}
	calls := make([]*call, len(parts))
	for i, p := range parts {
		calls[i] = &call{script: sweepScript, base: p.base, args: []any{retention.Milliseconds()}}
	}
	s.runAll(ctx, calls...)
	for _, c := range calls {
		if c.err != nil {
			err = c.err
			continue
		}
		if len(c.reply) == 2 && c.reply[1] == int64(1) {
			more = true
		}
	}
	return more, err
}
