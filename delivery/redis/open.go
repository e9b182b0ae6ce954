package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

const (
	// schemaVersion is the version of the keys and records that this package writes.
	schemaVersion   = 1
	minMajorVersion = 7
)

// Open connects, checks Redis's version and what the first Open recorded, and warns about
// settings that lose data.
func (s *Store) Open(ctx context.Context) error {
	if s.partitions.Load() != nil {
		return nil
	}
	if err := s.options.Validate(); err != nil {
		return err
	}
	info, err := s.client().Info(ctx, "server", "persistence").Result()
	if err != nil {
		return s.wrap(err)
	}
	if err := checkVersion(infoField(info, "redis_version")); err != nil {
		return err
	}
	n, err := s.recordedPartitions(ctx)
	if err != nil {
		return err
	}
	if err := s.learnTime(ctx); err != nil {
		return err
	}
	s.warn(ctx, info)

	parts := make([]*partition, n)
	for i := range parts {
		parts[i] = &partition{base: s.keys.base(i)}
		parts[i].hub = follow.NewHub(&source{s, parts[i]})
	}
	if err := s.checkClocks(ctx, parts); err != nil {
		return err
	}
	s.partitions.Store(&parts)
	return nil
}

// infoField reads one line of INFO.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func checkVersion(version string) error {
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < minMajorVersion {
		return fmt.Errorf("this is Redis %s; the store needs Redis %d.0 or newer", version, minMajorVersion)
	}
	return nil
}

// recordedPartitions reads what the first Open recorded, or records it. It writes nothing
// if everything is recorded, so that a full Redis can be opened.
func (s *Store) recordedPartitions(ctx context.Context) (int, error) {
	meta, err := s.client().HGetAll(ctx, s.keys.meta()).Result()
	if err != nil {
		return 0, s.wrap(err)
	}
	if len(meta) < 2 {
		first := int(s.wanted.Load())
		switch {
		case first > 0:
		case s.options.cluster():
			first = defaultClusterPartitions
		default:
			first = defaultPartitions
		}
		if first > maxPartitions {
			return 0, fmt.Errorf("partitions must be 1 to %d, not %d", maxPartitions, first)
		}
		// Several processes may do this at the same time: the first one counts.
		pipe := s.client().Pipeline()
		pipe.HSetNX(ctx, s.keys.meta(), "partitions", first)
		pipe.HSetNX(ctx, s.keys.meta(), "schema", schemaVersion)
		all := pipe.HGetAll(ctx, s.keys.meta())
		if _, err := pipe.Exec(ctx); err != nil {
			return 0, s.wrap(err)
		}
		meta = all.Val()
	}
	if meta["schema"] != strconv.Itoa(schemaVersion) {
		return 0, fmt.Errorf("the data under %q in Redis has schema %s; this version knows schema %d", s.options.KeyPrefix, meta["schema"], schemaVersion)
	}
	n, err := strconv.Atoi(meta["partitions"])
	if err != nil || n < 1 || n > maxPartitions {
		return 0, fmt.Errorf("the key %s in Redis holds %q for partitions", s.keys.meta(), meta["partitions"])
	}
	return n, s.checkPartitions(n)
}

// checkPartitions returns an error if another number of partitions is configured.
func (s *Store) checkPartitions(n int) error {
	if want := int(s.wanted.Load()); want != 0 && want != n {
		return fmt.Errorf("the data under %q in Redis has %d partitions, not %d; that cannot be changed, but you can start with an empty store under another key_prefix", s.options.KeyPrefix, n, want)
	}
	return nil
}

// learnTime asks for the time, so that no id or due time is made by this machine's clock.
func (s *Store) learnTime(ctx context.Context) error {
	asked := time.Now()
	t, err := s.client().Time(ctx).Result()
	if err != nil {
		return s.wrap(err)
	}
	s.learn(asked, t.UnixMilli())
	return nil
}

// learn learns the time from a reply.
func (s *Store) learn(asked time.Time, ms int64) {
	if step := s.clock.learn(asked, ms); step != 0 {
		s.steps.Tell(step)
	}
}

// warn logs settings under which accepted events can be lost. A managed Redis may not
// show its settings.
func (s *Store) warn(ctx context.Context, info string) {
	policy, err := s.setting(ctx, "maxmemory-policy")
	if err == nil && policy != "" && policy != "noeviction" {
		s.log.Warn("Redis may evict accepted events; set maxmemory-policy to noeviction",
			zap.String("maxmemory-policy", policy))
	}
	if infoField(info, "aof_enabled") != "0" {
		return
	}
	save, err := s.setting(ctx, "save")
	if err == nil && save == "" {
		s.log.Warn("Redis keeps nothing on disk: a restart loses webhooks and accepted events; set appendonly to yes")
	}
}

var errNoSetting = errors.New("no such setting")

func (s *Store) setting(ctx context.Context, name string) (string, error) {
	values, err := s.client().ConfigGet(ctx, name).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.log.Debug("cannot read a setting of Redis", zap.String("setting", name), zap.Error(s.wrap(err)))
		return "", err
	}
	value, ok := values[name]
	if !ok {
		return "", errNoSetting
	}
	return value, nil
}
