package memory

import (
	"context"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/follow"
)

func (s *Store) Follow(ctx context.Context, tenant, after string) (delivery.Follower, error) {
	err := s.enter("Follow")
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.hub.Follow(ctx, tenant, after)
}

// source is the ring with the rows of what is in it.
type source struct {
	*follow.Ring

	store *Store
}

// Rows reads rows by their ids.
func (s *source) Rows(_ context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	var rows []delivery.Request
	for _, id := range ids {
		if r := s.store.requests[id]; r != nil && r.Tenant == tenant {
			rows = append(rows, asListed(r))
		}
	}
	return rows, nil
}
