package memory

import (
	"context"
	"maps"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// CountStored counts bytes that tenants have stored.
func (s *Store) CountStored(_ context.Context, added []delivery.StoredBytes, slice, first int64) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	totals := make([]int64, len(added))
	for i, b := range added {
		slices := s.stored[b.Tenant]
		if slices == nil {
			slices = make(map[int64]int64)
		}
		slices[slice] += b.Bytes
		maps.DeleteFunc(slices, func(at, bytes int64) bool { return at < first || bytes == 0 })
		for _, bytes := range slices {
			totals[i] += bytes
		}
		if s.stored[b.Tenant] = slices; len(slices) == 0 {
			delete(s.stored, b.Tenant)
		}
	}
	return totals, nil
}
