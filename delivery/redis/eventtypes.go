package redis

import (
	"context"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var noteTypesScript = loadScript("note_types")

// NoteEventTypes notes types of events, all of them or none.
func (s *Store) NoteEventTypes(ctx context.Context, tenant string, types []string, retention time.Duration) error {
	p, err := s.at(tenant)
	if err != nil {
		return err
	}
	args := make([]any, 0, 3+len(types))
	args = append(args, tenant, (retention + delivery.EventGrace).Milliseconds(), delivery.MaxEventTypes)
	for _, name := range types {
		args = append(args, name)
	}
	reply, err := s.run(ctx, noteTypesScript, p.base, args...)
	switch {
	case err != nil:
		return err
	case len(reply) != 2:
		return errUnknownReply
	case reply[1] != int64(1):
		return delivery.ErrTooManyEventTypes
	}
	return nil
}
