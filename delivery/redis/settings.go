package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// checkSettings returns an error if Redis may evict events that were accepted, unless the
// options allow that, and warns if a restart of Redis loses them.
func (s *Store) checkSettings(ctx context.Context) error {
	servers, err := s.masters(ctx)
	if err != nil {
		return err
	}
	for _, server := range servers {
		info, err := server.Info(ctx).Result()
		if err != nil {
			continue // health says what becomes of its partitions
		}
		if err := s.checkEviction(server, infoField(info, "maxmemory_policy")); err != nil {
			return err
		}
		if infoField(info, "aof_enabled") == "0" && s.savesNothing(ctx, server) {
			s.log.Warn("Redis keeps nothing on disk: a restart loses webhooks and accepted events; set appendonly to yes",
				zap.String("server", server.Options().Addr))
		}
	}
	return nil
}

// checkEviction judges a maxmemory-policy, which is empty if the server does not say it.
func (s *Store) checkEviction(server *redis.Client, policy string) error {
	if policy == "" || policy == "noeviction" {
		return nil
	}
	if !s.allowEviction.Load() {
		return delivery.Reason(fmt.Sprintf("Redis may evict accepted events: its maxmemory-policy is %s; set it to noeviction, or set allow_eviction in the store's configuration", policy))
	}
	s.log.Warn("Redis may evict accepted events; set maxmemory-policy to noeviction",
		zap.String("maxmemory-policy", policy), zap.String("server", server.Options().Addr))
	return nil
}

// savesNothing reports whether a server without an append-only file writes no snapshots
// either. A managed Redis may not show its settings.
func (s *Store) savesNothing(ctx context.Context, server *redis.Client) bool {
	values, err := server.ConfigGet(ctx, "save").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.log.Debug("cannot read a setting of Redis", zap.String("setting", "save"), zap.Error(s.wrap(err)))
		return false
	}
	save, ok := values["save"]
	return ok && save == ""
}
