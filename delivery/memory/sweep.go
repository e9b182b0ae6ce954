package memory

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Sweep drops everything that is too old, in one step.
func (s *Store) Sweep(_ context.Context, retention time.Duration) (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	oldest := now.Add(-retention)
	maps.DeleteFunc(s.requests, func(_ uuid.UUID, r *delivery.Request) bool {
		return r.StartedAt().Before(oldest)
	})
	maps.DeleteFunc(s.events, func(_ eventKey, e *event) bool {
		return !now.Before(e.expires) || e.ReceivedAt.Before(oldest.Add(-delivery.EventGrace))
	})
	for _, w := range s.webhooks {
		s.dropExpired(w)
	}
	maps.DeleteFunc(s.counts, func(c counted, _ int64) bool {
		kept := delivery.StatsKept
		if c.ref.ID != uuid.Nil {
			kept = delivery.HoursKept
		}
		return c.since.Before(now.Add(-kept))
	})
	s.sweepAudits(oldest)
	maps.DeleteFunc(s.received, func(_ receivedKey, m receivedMark) bool { return !now.Before(m.ends) })
	s.sweepReplays(oldest)
	return false, nil
}
