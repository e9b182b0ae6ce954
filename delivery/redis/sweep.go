package redis

import (
	"context"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

// Sweep does one step of housekeeping in each partition. When there is nothing to remove, it
// looks after the schedule, some webhooks in each step.
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
			again, e = s.auditMore(ctx, parts[i])
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

// auditMore continues the audit of a partition, and reports whether there is more of it.
func (s *Store) auditMore(ctx context.Context, p *partition) (more bool, err error) {
	p.mu.Lock()
	cursor := p.audited
	p.mu.Unlock()
	next, err := s.audit(ctx, p.base, cursor)
	if next == "0" {
		next = ""
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.audited = next
	return next != "", err
}
