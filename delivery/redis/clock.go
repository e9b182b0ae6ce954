package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/clockstep"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

const (
	// sampleAge is how long a better sample of the clock is kept: in that time, two
	// good clocks drift apart by a millisecond.
	sampleAge = 30 * time.Second
	// clockSize is the length of the record of the schedule's clock.
	clockSize = 8 + 8
)

// clock computes Redis's time from its replies, each of which has it.
type clock struct {
	sample atomic.Pointer[clockSample]
}

// clockSample is the time in one reply.
type clockSample struct {
	asked  time.Time
	local  time.Time     // the middle of the exchange, with this machine's monotonic clock
	remote time.Time     // what Redis said
	trip   time.Duration // how long the exchange took: the error is at most half of that
}

// at converts a time of this machine to Redis's.
func (s *clockSample) at(local time.Time) time.Time { return s.remote.Add(local.Sub(s.local)) }

// now is Redis's time, or this machine's before the first reply.
func (c *clock) now() time.Time {
	s := c.sample.Load()
	if s == nil {
		return time.Now().UTC()
	}
	return s.at(time.Now())
}

// learn learns the time from the reply to what was asked at the given time. A quick
// exchange is more precise than a slow one. It returns by how much Redis's clock was set,
// according to this machine's monotonic clock: mostly 0.
func (c *clock) learn(asked time.Time, ms int64) (step time.Duration) {
	trip := time.Since(asked)
	old := c.sample.Load()
	local := asked.Add(trip / 2)
	remote := time.UnixMilli(ms).UTC().Add(time.Millisecond / 2) // it was truncated to the millisecond
	if old != nil {
		step = remote.Sub(old.at(local))
		set := step.Abs() >= clockstep.Least+(trip+old.trip)/2
		switch {
		case set && asked.Before(old.asked):
			return 0 // Redis replied before its clock was set
		case !set && trip > old.trip && asked.Sub(old.local) < sampleAge:
			return 0
		case !set:
			step = 0
		}
	}
	if !c.sample.CompareAndSwap(old, &clockSample{asked, local, remote, trip}) {
		return 0
	}
	return step
}

// keptClock is the record of the clock of a partition's schedule: see common.lua. It is
// zero before anything was scheduled.
type keptClock struct {
	at    time.Time // what the clock said last
	ahead time.Duration
}

// keptClocks reads the clocks of partitions, and returns an error if it cannot read some.
func (s *Store) keptClocks(ctx context.Context, parts []*partition) (clocks []keptClock, failed error) {
	pipe := s.client().Pipeline()
	kept := make([]*redis.StringCmd, len(parts))
	for i, p := range parts {
		kept[i] = pipe.Get(ctx, clockKey(p.base))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	clocks = make([]keptClock, len(parts))
	for i := range kept {
		b, err := kept[i].Bytes()
		if err != nil && !errors.Is(err, redis.Nil) {
			if err := s.mend(ctx, parts[i].base, clockKey(parts[i].base), err); err != nil {
				failed = err
			}
		}
		if len(b) == clockSize {
			clocks[i].at = record.Time(int64(binary.BigEndian.Uint64(b)))
			clocks[i].ahead = time.Duration(binary.BigEndian.Uint64(b[8:])) * time.Millisecond
		}
	}
	return clocks, failed
}

// checkClocks warns if Redis's clock is behind the time at which the store was last used. It
// says nothing about a partition that does not answer now.
func (s *Store) checkClocks(ctx context.Context, parts []*partition) {
	clocks, _ := s.keptClocks(ctx, parts)
	for _, c := range clocks {
		if step := s.Now().Add(c.ahead).Sub(c.at); step < 0 {
			s.steps.Tell(step)
		}
	}
}
