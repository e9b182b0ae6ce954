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
		again, e := len(c.reply) == 3 && c.reply[1] == int64(1), c.err
		if e == nil && c.reply[2] != "" {
			again, e = true, s.goOnErasing(ctx, c.reply[2])
		}
		if e == nil && !again {
			again, e = s.lookFurther(ctx, parts[i], retention)
		}
		if e != nil {
			err = e
		}
		more = more || again
	}
	if !more {
		for _, p := range parts {
			p.beginLooking()
		}
		if err == nil {
			err = s.keepRecord(ctx, len(parts))
		}
	}
	if err != nil {
		return more, err
	}
	again, err := s.encryption.Step(func(keys *encryption.Keyring, from string) (string, int, error) {
		return s.encryptAgain(ctx, keys, from)
	})
	return more || again, err
}

// lookedAfter is how many things lookFurther looks after.
const lookedAfter = 3

// lookFurther looks after what Sweep does not remove, one thing after the other, until one of them
// has more to do, which it reports. A partition that has seen to all waits for the others: some
// would be on their way at any time, and no sweep would end.
func (s *Store) lookFurther(ctx context.Context, p *partition, retention time.Duration) (more bool, err error) {
	all := [lookedAfter]func(cursor string) (next string, err error){
		func(cursor string) (string, error) { return s.audit(ctx, p.base, cursor) },
		func(cursor string) (string, error) { return s.dropTypes(ctx, p.base, cursor, retention) },
		func(string) (string, error) { return s.findLeased(ctx, p) },
	}
	p.mu.Lock()
	at := p.looked
	p.mu.Unlock()
	for at.of < lookedAfter && !more && err == nil {
		at.cursor, err = all[at.of](at.cursor)
		if more = err == nil && at.cursor != "" && at.cursor != "0"; !more {
			at = lookedAt{of: at.of + 1} // what fails keeps the others from nothing
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = at
	return more, err
}

// beginLooking has lookFurther begin again if it has seen to all.
func (p *partition) beginLooking() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looked.of == lookedAfter {
		p.looked = lookedAt{}
	}
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

// findLeased puts leases back that are lost. It looks at little for each lease that can have ended,
// so that one step has all of them, in scripts that are short.
func (s *Store) findLeased(ctx context.Context, p *partition) (next string, err error) {
	p.mu.Lock()
	from := p.leasesFrom
	p.mu.Unlock()
	for more := true; more; {
		reply, err := s.run(ctx, findLeasedScript, p.base, from, leasesLookedBack.Milliseconds(), leasesPerScript)
		if err != nil {
			return "", err
		}
		if len(reply) != 4 {
			return "", errUnknownReply
		}
		from, _ = reply[1].(string)
		more = reply[2] == int64(1)
		if n, _ := reply[3].(int64); n > 0 {
			s.log.Warn("leases were lost, and what was sent under them may be sent again", zap.Int64("leases", n))
		}
		p.mu.Lock()
		p.leasesFrom = from
		p.mu.Unlock()
	}
	return "", nil
}
