package caddymodule

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis"
)

func init() {
	caddy.RegisterModule(new(RedisStore))
	// The client writes each failed connection to standard error, past Caddy's
	// log. The call that needed the connection fails too, and that is logged.
	goredis.SetLogger(silent{})
}

// silent is a logger of the Redis client that says nothing.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// RedisStore keeps everything in Redis 7.0 or newer, or in a compatible server.
// Several Caddy processes can share one. Redis should persist to disk and have
// `maxmemory-policy noeviction`.
//
// Strings can contain global placeholders such as `{file./run/secrets/redis}`.
type RedisStore struct {
	// `redis://` or `rediss://` URLs, such as
	// `redis://user:password@localhost:6379/0`. One is a standalone server;
	// several are nodes of one cluster and must differ only in the address. Either
	// this or `addresses` is required.
	URLs []string `json:"urls,omitempty"`

	// Addresses, as host and port. One is a standalone server; several are
	// nodes of one cluster, or the sentinels if `sentinel` is set.
	Addresses []string `json:"addresses,omitempty"`

	// The name of the master that the sentinels at `addresses` watch. Default:
	// none, no sentinels are used.
	Sentinel string `json:"sentinel,omitempty"`

	// The user name for the sentinels. Default: none.
	SentinelUsername string `json:"sentinel_username,omitempty"`

	// The password for the sentinels. Default: none.
	SentinelPassword string `json:"sentinel_password,omitempty"`

	// The user name (ACL). Default: none.
	Username string `json:"username,omitempty"`

	// The password. Default: none.
	Password string `json:"password,omitempty"`

	// The number of the database; a cluster has only 0. Default: 0.
	DB int `json:"db,omitempty"`

	// Whether to connect with TLS. The system must trust the server's certificate.
	// Default: false.
	TLS bool `json:"tls,omitempty"`

	// The beginning of every key. Installations that share a Redis need different
	// ones. Default: `webhooks`.
	KeyPrefix string `json:"key_prefix,omitempty"`

	// How many parts tenants are spread over. Each part stays on one node of a
	// cluster. Fixed when the store is first used. Default: 1, and 16 in a cluster.
	Partitions int `json:"partitions,omitempty"`

	// Whether to open a Redis that may evict accepted events, since its
	// `maxmemory-policy` is not `noeviction`. Default: false, that is an error.
	AllowEviction bool `json:"allow_eviction,omitempty"`
	// How many replicas of Redis must have an event before it is answered with 202.
	// Redis answers before its replicas have what it has, so that a failover may lose
	// what was answered last. If fewer confirm an event in time, the answer is 503: the
	// event is stored, may be delivered, and can be sent again with the same id.
	// Default: 0.
	WaitReplicas int `json:"wait_replicas,omitempty"`

	// How long replicas have to confirm an event, at most 4s. Default: 1s, if
	// `wait_replicas` is set.
	WaitTimeout caddy.Duration `json:"wait_timeout,omitempty"`

	options redis.Options
}

// CaddyModule returns the Caddy module information.
func (*RedisStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "webhooks.stores.redis",
		New: func() caddy.Module { return new(RedisStore) },
	}
}

// Provision resolves and checks the options; it connects to nothing.
func (s *RedisStore) Provision(caddy.Context) error {
	if err := s.resolve(caddy.NewReplacer()); err != nil {
		return fmt.Errorf("store redis: %w", err)
	}
	return nil
}

func (s *RedisStore) resolve(repl *caddy.Replacer) error {
	o := redis.Options{
		DB: s.DB, Partitions: s.Partitions, AllowEviction: s.AllowEviction,
		WaitReplicas: s.WaitReplicas, WaitTimeout: time.Duration(s.WaitTimeout),
	}
	for _, field := range []struct {
		name   string
		value  string
		target *string
	}{
		{"sentinel", s.Sentinel, &o.SentinelMaster},
		{"sentinel_username", s.SentinelUsername, &o.SentinelUsername},
		{"sentinel_password", s.SentinelPassword, &o.SentinelPassword},
		{"username", s.Username, &o.Username},
		{"password", s.Password, &o.Password},
		{"key_prefix", s.KeyPrefix, &o.KeyPrefix},
	} {
		if field.value == "" {
			continue
		}
		var err error
		if *field.target, err = resolve(repl, field.value); err != nil {
			return fmt.Errorf("%s %w", field.name, err)
		}
	}
	if s.TLS {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if err := s.resolveServers(repl, &o); err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	s.options = o
	return nil
}

func (s *RedisStore) resolveServers(repl *caddy.Replacer, o *redis.Options) error {
	if err := s.checkServers(); err != nil {
		return err
	}
	if len(s.URLs) == 0 {
		addresses, err := resolveAll(repl, s.Addresses)
		if err != nil {
			return fmt.Errorf("address %w", err)
		}
		for _, address := range addresses {
			if err := checkAddress(address); err != nil {
				return err
			}
		}
		o.Addresses = addresses
		return nil
	}
	urls, err := resolveAll(repl, s.URLs)
	if err != nil {
		return fmt.Errorf("URL %w", err)
	}
	return parseRedisURLs(urls, o)
}

// checkServers checks how the options go together.
func (s *RedisStore) checkServers() error {
	switch {
	case len(s.URLs) == 0 && len(s.Addresses) == 0:
		return errors.New("give a URL or an address")
	case len(s.URLs) == 0:
		return nil
	case len(s.Addresses) > 0, s.Sentinel != "", s.Username != "", s.Password != "", s.DB != 0, s.TLS:
		return errors.New("a URL contains the address, username, password, db and tls: give either the URL or these options")
	default:
		return nil
	}
}

// parseRedisURLs says nothing of a URL in its errors: it may have a password.
func parseRedisURLs(urls []string, o *redis.Options) error {
	for i, raw := range urls {
		if !strings.HasPrefix(raw, "redis://") && !strings.HasPrefix(raw, "rediss://") {
			return errors.New("the URL must begin with redis:// or rediss://")
		}
		if strings.ContainsAny(raw, "?#") {
			return errors.New("the URL must not have a query or a fragment")
		}
		parsed, err := goredis.ParseURL(raw)
		if err != nil {
			return errors.New("the URL must be like redis://user:password@localhost:6379/0")
		}
		if err := checkAddress(parsed.Addr); err != nil {
			return err
		}
		withTLS := parsed.TLSConfig != nil
		if i == 0 {
			o.Username, o.Password, o.DB = parsed.Username, parsed.Password, parsed.DB
			if withTLS {
				o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			}
		} else if parsed.Username != o.Username || parsed.Password != o.Password || parsed.DB != o.DB || withTLS != (o.TLS != nil) {
			return errors.New("the URLs of one cluster must differ only in the address")
		}
		o.Addresses = append(o.Addresses, parsed.Addr)
	}
	return nil
}

// checkAddress does not repeat the address: it may be a URL with a password.
func checkAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || port == "" {
		return errors.New("an address must be a host and a port, such as localhost:6379")
	}
	return nil
}

// Identity names the data: the servers, the database and the prefix.
func (s *RedisStore) Identity() string {
	addresses := slices.Clone(s.options.Addresses)
	for i := range addresses {
		addresses[i] = strings.ToLower(addresses[i])
	}
	slices.Sort(addresses)
	servers := strings.Join(addresses, ", ")
	if s.options.SentinelMaster != "" {
		servers = fmt.Sprintf("%q of the sentinels at %s", s.options.SentinelMaster, servers)
	}
	prefix := cmp.Or(s.options.KeyPrefix, redis.DefaultKeyPrefix)
	return fmt.Sprintf("redis at %s, database %d, key prefix %q", servers, s.options.DB, prefix)
}

// NewStore makes a store that connects when it is opened.
func (s *RedisStore) NewStore(log *zap.Logger) (delivery.Store, error) {
	options := s.options
	options.Logger = log
	return redis.New(options), nil
}

// UseKeyring has the store encrypt.
func (s *RedisStore) UseKeyring(keys *encryption.Keyring) { s.options.Keyring = keys }

// Use changes the credentials of a store, its keys, and how it connects.
func (s *RedisStore) Use(store delivery.Store) {
	if store, ok := store.(*redis.Store); ok {
		store.Use(s.options)
	}
}

// Interface guards
var (
	_ caddy.Provisioner = (*RedisStore)(nil)
	_ KeyringUser       = (*RedisStore)(nil)
)
