package redis

import (
	"sync/atomic"
	"time"
)

// sampleAge is for how long a better sample of the clock is kept: two good
// clocks drift apart by a millisecond in that time.
const sampleAge = 30 * time.Second

// clock reckons Redis's time from its answers, each of which bears it.
type clock struct {
	sample atomic.Pointer[clockSample]
}

// clockSample is one answer.
type clockSample struct {
	local  time.Time     // the middle of the exchange, with this machine's monotonic clock
	remote time.Time     // what Redis said
	trip   time.Duration // how long the exchange took: the error is half of it at most
}

// now is Redis's time, or this machine's before the first answer.
func (c *clock) now() time.Time {
	s := c.sample.Load()
	if s == nil {
		return time.Now().UTC()
	}
	return s.remote.Add(time.Since(s.local))
}

// learn takes the time in an answer to what was asked at the given time. A quick
// exchange tells the time better than a slow one.
func (c *clock) learn(asked time.Time, ms int64) {
	trip := time.Since(asked)
	old := c.sample.Load()
	if old != nil && trip > old.trip && asked.Sub(old.local) < sampleAge {
		return
	}
	c.sample.CompareAndSwap(old, &clockSample{
		local: asked.Add(trip / 2),
		// The answer was cut to the millisecond.
		remote: time.UnixMilli(ms).UTC().Add(time.Millisecond / 2),
		trip:   trip,
	})
}
