package redis

import (
	"context"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

var countStoredScript = loadScript("count_stored")

// CountStored counts bytes that tenants have stored.
func (s *Store) CountStored(ctx context.Context, added []delivery.StoredBytes, slice, first int64) ([]int64, error) {
	if len(added) == 0 {
		return nil, nil
	}
	p, err := s.at(added[0].Tenant)
	if err != nil {
		return nil, err
	}
	args := []any{slice, first}
	for _, b := range added {
		args = append(args, b.Tenant, b.Bytes)
	}
	reply, err := s.run(ctx, countStoredScript, p.base, args...)
	if err != nil {
		return nil, err
	}
	if len(reply) != 1+len(added) {
		return nil, errUnknownReply
	}
	totals := make([]int64, len(added))
	for i := range totals {
		var ok bool
		if totals[i], ok = reply[1+i].(int64); !ok {
			return nil, errUnknownReply
		}
	}
	return totals, nil
}
