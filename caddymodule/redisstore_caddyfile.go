package caddymodule

import (
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis"
)

// UnmarshalCaddyfile sets the store up from the Caddyfile:
//
//	redis <URL>...
//
// or
//
//	redis {
//		address <host:port>...
//		sentinel <master name>
//		sentinel_username <name>
//		sentinel_password <password>
//		username <name>
//		password <password>
//		db <number>
//		tls
//		key_prefix <prefix>
//		partitions <number>
//		allow_eviction
//		wait_replicas <number> [<timeout>]
//	}
//
// With URLs, the block may have key_prefix, partitions, allow_eviction and wait_replicas.
func (s *RedisStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume store name
	line := *d
	s.URLs = d.RemainingArgs()
	lines, err := parseBlock(d, "redis", s.parsers())
	if err != nil {
		return err
	}
	if len(s.URLs) == 0 && lines == 0 {
		return line.Err("store redis needs a redis:// or rediss:// URL, or a block with address")
	}
	if err := s.check(); err != nil {
		return line.Errf("store redis: %w", err)
	}
	return nil
}

func (s *RedisStore) parsers() map[string]option {
	one := func(target *string) option {
		return option{parse: func(d *caddyfile.Dispenser) error { return text(d, target) }}
	}
	return map[string]option{
		"address": {repeat: true, parse: func(d *caddyfile.Dispenser) error {
			addresses, err := list(d)
			if err != nil {
				return err
			}
			for _, address := range addresses {
				if hasPlaceholder(address) {
					continue
				}
				if err := checkAddress(address); err != nil {
					return d.WrapErr(err)
				}
			}
			s.Addresses = append(s.Addresses, addresses...)
			return nil
		}},
		"sentinel":          one(&s.Sentinel),
		"sentinel_username": one(&s.SentinelUsername),
		"sentinel_password": one(&s.SentinelPassword),
		"username":          one(&s.Username),
		"password":          one(&s.Password),
		"db": {parse: func(d *caddyfile.Dispenser) error {
			_, err := integer(&s.DB)(d)
			return err
		}},
		"tls":        {parse: bare(&s.TLS)},
		"key_prefix": one(&s.KeyPrefix),
		"partitions": {parse: nonZero(integer(&s.Partitions))},

		"allow_eviction": {parse: bare(&s.AllowEviction)},
		"wait_replicas":  {parse: s.parseWaitReplicas},
	}
}

func (s *RedisStore) parseWaitReplicas(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 && len(args) != 2 {
		return d.ArgErr()
	}
	var err error
	if s.WaitReplicas, err = parseInt(d, args[0]); err != nil {
		return err
	}
	if s.WaitReplicas == 0 {
		return d.Err("wait_replicas must be more than 0")
	}
	if len(args) == 1 {
		return nil
	}
	if s.WaitTimeout, err = parseDuration(d, args[1]); err != nil {
		return err
	}
	if s.WaitTimeout == 0 {
		return d.Err("the timeout of wait_replicas must be more than 0")
	}
	return nil
}

// check finds here, where the line is known, what can be found before
// placeholders are replaced.
func (s *RedisStore) check() error {
	if err := s.checkServers(); err != nil {
		return err
	}
	o := redis.Options{
		Addresses: slices.Concat(s.URLs, s.Addresses), SentinelMaster: s.Sentinel,
		SentinelUsername: s.SentinelUsername, SentinelPassword: s.SentinelPassword,
		DB: s.DB, Partitions: s.Partitions,
		WaitReplicas: s.WaitReplicas, WaitTimeout: time.Duration(s.WaitTimeout),
	}
	if !hasPlaceholder(s.KeyPrefix) {
		o.KeyPrefix = s.KeyPrefix
	}
	if err := o.Validate(); err != nil {
		return err
	}
	values := slices.Concat(s.URLs, s.Addresses, []string{
		s.Sentinel, s.SentinelUsername, s.SentinelPassword, s.Username, s.Password, s.KeyPrefix,
	})
	if slices.ContainsFunc(values, hasPlaceholder) {
		return nil
	}
	return s.resolve(caddy.NewReplacer())
}

// Interface guard
var _ caddyfile.Unmarshaler = (*RedisStore)(nil)
