package memory

import (
	"context"
	"maps"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// NoteEventTypes notes types of events, all of them or none.
func (s *Store) NoteEventTypes(_ context.Context, tenant string, types []string, retention time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	noted := maps.Clone(s.types[tenant])
	if noted == nil {
		noted = make(map[string]time.Time)
	}
	maps.DeleteFunc(noted, func(_ string, at time.Time) bool {
		return at.Add(retention + delivery.EventGrace).Before(now)
	})
	before := len(noted)
	for _, name := range types {
		noted[name] = now
	}
	if len(noted) > max(before, delivery.MaxEventTypes) {
		return delivery.ErrTooManyEventTypes
	}
	s.types[tenant] = noted
	return nil
}
