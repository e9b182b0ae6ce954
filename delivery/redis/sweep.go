package redis

import (
	"cmp"
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// Sweep does one step of housekeeping in each partition. When there is nothing to remove, it
// looks after the schedule, event types and leases, some in each step.
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
	for i, c := range calls {
		again, e := len(c.reply) == 2 && c.reply[1] == int64(1), c.err
		if e == nil && !again {
			again, e = s.lookFurther(ctx, parts[i], retention)
		}
		if e != nil {
			err = e
		}
		more = more || again
	}
	if !more && err == nil {
		err = s.keepRecord(ctx, len(parts))
	}
	if err != nil {
		return more, err
	}
	again, err := s.encryption.Step(func(keys *encryption.Keyring, from string) (string, int, error) {
		return s.encryptAgain(ctx, keys, from)
	})
	return more || again, err
}

// lookFurther looks after what Sweep does not remove, a step of one thing after the other, and
// reports whether there is more of it.
func (s *Store) lookFurther(ctx context.Context, p *partition, retention time.Duration) (more bool, err error) {
	all := []func(cursor string) (next string, err error){
		func(cursor string) (string, error) { return s.audit(ctx, p.base, cursor) },
		func(cursor string) (string, error) { return s.dropTypes(ctx, p.base, cursor, retention) },
		func(string) (string, error) { return s.findLeased(ctx, p) },
	}
	p.mu.Lock()
	at := p.looked
	p.mu.Unlock()
	next, err := all[at.of](at.cursor)
	switch {
	case err != nil:
		return false, err
	case next != "" && next != "0":
		at.cursor = next
	default:
		at = lookedAt{of: (at.of + 1) % len(all)}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = at
	return at != lookedAt{}, nil
}

// typesPerScript is how many event types one script looks at.
const typesPerScript = 500

// dropTypes gives back the numbers of event types that are not used any more.
func (s *Store) dropTypes(ctx context.Context, base, cursor string, retention time.Duration) (next string, err error) {
	reply, err := s.run(ctx, dropTypesScript, base, retention.Milliseconds(), cmp.Or(cursor, "0"), typesPerScript)
	if err != nil {
		return "", err
	}
	if len(reply) != 2 {
		return "", errUnknownReply
	}
	next, _ = reply[1].(string)
	return next, nil
}

const (
	// leasesLookedBack is for which time before now leases are looked for. Later, only those are
	// that have ended since.
	leasesLookedBack = time.Hour
	// leasesPerScript is how many ends of leases one script looks at.
	leasesPerScript = 2000
)

// findLeased puts leases back that are lost, and returns where to go on, "" for nowhere.
func (s *Store) findLeased(ctx context.Context, p *partition) (next string, err error) {
	p.mu.Lock()
	from := p.leasesFrom
	p.mu.Unlock()
	reply, err := s.run(ctx, findLeasedScript, p.base, from, leasesLookedBack.Milliseconds(), leasesPerScript)
	if err != nil {
		return "", err
	}
	if len(reply) != 4 {
		return "", errUnknownReply
	}
	from, _ = reply[1].(string)
	if n, _ := reply[3].(int64); n > 0 {
		s.log.Warn("leases were lost, and what was sent under them may be sent again", zap.Int64("leases", n))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leasesFrom = from
	if reply[2] != int64(1) {
		return "", nil
	}
	return from, nil
}
