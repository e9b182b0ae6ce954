package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
)

const minMajorVersion = 7

// Open connects, and checks Redis's version, what the first Open recorded, and whether the
// user has all rights. It warns about settings that lose data, or refuses them.
func (s *Store) Open(ctx context.Context) error {
	if s.partitions.Load() != nil {
		return nil
	}
	if err := s.options.Validate(); err != nil {
		return err
	}
	info, err := s.client().Info(ctx).Result()
	if err != nil {
		return s.wrap(err)
	}
	if err := checkVersion(infoField(info, "redis_version")); err != nil {
		return err
	}
	if err := s.checkSettings(ctx); err != nil {
		return err
	}
	n, earlier, err := s.recordedPartitions(ctx)
	if err != nil {
		return err
	}
	if err := s.learnTime(ctx); err != nil {
		return err
	}

	parts := make([]*partition, n)
	for i := range parts {
		parts[i] = &partition{base: s.keys.base(i), encryption: &s.encryption}
	}
	if err := s.checkRights(ctx, parts); err != nil {
		return err
	}
	positionKey, err := s.positionKey(ctx)
	if err != nil {
		return err
	}
	for _, p := range parts {
		p.hub = follow.NewHub(&source{s, p, positionKey})
	}
	if err := s.checkWait(ctx); err != nil {
		return err
	}
	if err := s.checkSecrets(ctx, parts); err != nil {
		return err
	}
	s.checkClocks(ctx, parts)
	// Last: if this process is not to use the data, those that use it may go on.
	if earlier {
		if err := s.raiseSchema(ctx); err != nil {
			return err
		}
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

// checkVersion returns an error if the server says that it is an older Redis. If it does not
// say so, what counts is whether it can do what the store needs.
func checkVersion(version string) error {
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < minMajorVersion {
		return fmt.Errorf("this is Redis %s, or a server that can do as much; the store needs Redis %d.0 or newer", version, minMajorVersion)
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
