package memory

import (
	"context"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Follow follows a tenant's log.
func (s *Store) Follow(ctx context.Context, tenant, after string) (delivery.Follower, error) {
	return s.hub.Follow(ctx, tenant, after)
}

// rows reads rows of the log by their ids, for followers.
func (s *Store) rows(_ context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []delivery.Request
	for _, id := range ids {
		if r := s.requests[id]; r != nil && r.Tenant == tenant {
			rows = append(rows, withoutBodies(r))
		}
	}
	return rows, nil
}
