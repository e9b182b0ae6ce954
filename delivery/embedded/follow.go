package embedded

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Follow follows a tenant's log. A position is known until the store is closed or too
// many requests have been written after it.
func (s *Store) Follow(ctx context.Context, tenant, after string) (delivery.Follower, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	return s.hub.Follow(ctx, tenant, after)
}

// rows reads rows by their ids.
func (s *Store) rows(_ context.Context, tenant string, ids []uuid.UUID) ([]delivery.Request, error) {
	var rows []delivery.Request
	err := s.read(func(tx *view) error {
		for _, id := range ids {
			r, _, err := s.row(tx, tenant, id)
			switch {
			case err == nil:
				rows = append(rows, r)
			case !errors.Is(err, delivery.ErrNotFound): // its webhook was deleted, say
				return err
			}
		}
		return nil
	})
	return rows, err
}
