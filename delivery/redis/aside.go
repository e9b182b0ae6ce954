package redis

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
)

var (
	asideScript   = loadScript("aside")
	auditScript   = loadScript("audit")
	restoreScript = loadScript("restore")
)

// asidePerScript is how many records one script sets aside.
const asidePerScript = 200

// unreadable is a record that cannot be read: the value of a field, or of a key if field is
// empty. The value is empty if the key has the wrong type.
type unreadable struct{ key, field, value, why string }

// SetAside counts the records that could not be read and that this process has set aside.
func (s *Store) SetAside() int64 { return s.troubles.aside.Load() }

// isWrongType reports whether Redis refused a command since another program made its key.
func isWrongType(err error) bool { return redis.HasErrorPrefix(err, "WRONGTYPE") }

// mend sets a key aside that another program made, so that it is as if it were missing, and
// wraps any other error of a command on it.
func (s *Store) mend(ctx context.Context, base, key string, err error) error {
	if !isWrongType(err) {
		return s.wrap(err)
	}
	s.setAside(ctx, base, unreadable{key: key})
	return nil
}

// setAside sets records aside that this process could not read.
func (s *Store) setAside(ctx context.Context, base string, bad ...unreadable) {
	for some := range slices.Chunk(bad, asidePerScript) {
		s.setSomeAside(ctx, base, some)
	}
}

func (s *Store) setSomeAside(ctx context.Context, base string, bad []unreadable) {
	args := make([]any, 0, 4*len(bad))
	for _, b := range bad {
		args = append(args, b.key, b.field, b.value, b.why)
	}
	_, err := s.run(ctx, asideScript, base, args...)
	if err == nil {
		return
	}
	for _, b := range bad {
		if s.troubles.news(b.key + b.field) {
			s.log.Error("a record in Redis cannot be read and cannot be set aside",
				zap.String("key", readable(b.key)), zap.String("field", readable(b.field)), zap.String("reason", b.why), zap.Error(err))
		}
	}
}

// restoreCall makes a call that gives webhooks of a tenant the states that their records ask
// for, from a note.
func restoreCall(base string, n note) (*call, error) {
	tenant := strings.TrimPrefix(n.key, webhooksKey(base, ""))
	w, err := decodeWebhook(tenant, n.field, n.value, nil)
	if err != nil && !encryption.IsMissingKey(err) { // the state is no secret
		return nil, err
	}
	return &call{script: restoreScript, base: base, args: []any{tenant, n.field, n.value, webhookState(w), webhookRate(w)}}, nil
}

// checkEvent reads the event of a note, which sets it aside if it cannot be read.
func (s *Store) checkEvent(ctx context.Context, base string, n note) {
	id, err := uuid.FromBytes([]byte(n.field))
	if err != nil {
		return // no event of ours
	}
	if _, err := s.storedEvent(ctx, base, n.key, id); err != nil && !errors.Is(err, delivery.ErrNotFound) {
		s.log.Debug("cannot read an event again", zap.Error(err))
	}
}

// auditAll gives places to all webhooks of a partition that have pending deliveries.
func (s *Store) auditAll(ctx context.Context, base string) {
	for cursor := ""; cursor != "0" && ctx.Err() == nil; {
		var err error
		if cursor, err = s.audit(ctx, base, cursor); err != nil {
			return // Sweep does it again
		}
	}
}

// audit puts some webhooks right, and returns the cursor for the next ones, "0" at the end.
func (s *Store) audit(ctx context.Context, base, cursor string) (next string, err error) {
	if cursor == "" {
		cursor = "0"
	}
	reply, err := s.run(ctx, auditScript, base, cursor)
	if err != nil {
		return "", err
	}
	if len(reply) != 3 {
		return "", errUnknownReply
	}
	next, _ = reply[1].(string)
	if n, _ := reply[2].(int64); n > 0 {
		s.log.Warn("webhooks had lost their place in the schedule, and have one again", zap.Int64("webhooks", n))
	}
	return next, nil
}

// unreadableEvent is the record of an event, in both places where it may be.
func unreadableEvent(base, tenant string, id uuid.UUID, stored string, err error) []unreadable {
	bad := []unreadable{{key: eventKey(base, tenant, id), value: stored, why: err.Error()}}
	if span, ok := idSpan(id); ok {
		bad = append(bad, unreadable{key: eventsKey(base, span), field: eventField(tenant, id), value: stored, why: err.Error()})
	}
	return bad
}
