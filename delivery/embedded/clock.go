package embedded

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/clockstep"
)

// keptAheads is how many distances of the two clocks are remembered: one for each time that this
// machine's was set back.
const keptAheads = 100

// clock tells two times: this machine's, which is stored and shown, and the schedule's,
// by which deliveries fall due and leases end. They are the same until this machine's
// clock is set back. Then the schedule's continues from where it was, and stays ahead by
// that much.
type clock struct {
	// read gives this machine's time, and how long this process has been running.
	read  func() (wall time.Time, running time.Duration)
	steps clockstep.Notice

	mu      sync.Mutex
	ahead   int64
	aheads  []int64 // what ahead was lately, now included
	last    int64   // what the schedule's clock said last
	wall    time.Time
	running time.Duration
}

// moment is the same time by both clocks, in milliseconds.
type moment struct{ wall, schedule int64 }

// ahead is how far the schedule's clock is ahead.
func (m moment) ahead() int64 { return m.schedule - m.wall }

// readClock makes a function that reads this machine's clocks.
func readClock() func() (time.Time, time.Duration) {
	began := time.Now()
	return func() (time.Time, time.Duration) {
		now := time.Now()
		return now, now.Sub(began)
	}
}

// now reads both clocks.
func (c *clock) now() moment {
	wall, running := c.read()
	wall = wall.Round(0) // compare what the clock shows, not the monotonic reading
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wall.IsZero() {
		step := wall.Sub(c.wall) - (running - c.running)
		c.steps.Tell(step)
		if step <= -clockstep.Least {
			c.ahead -= step.Milliseconds()
		}
	}
	c.wall, c.running = wall, running
	return c.advance(wall)
}

// advance moves the schedule's clock forward to this machine's, and never back. The
// caller holds c.mu.
func (c *clock) advance(wall time.Time) moment {
	m := moment{wall: wall.UnixMilli()}
	c.ahead = max(c.ahead, c.last-m.wall)
	if n := len(c.aheads); n == 0 || c.aheads[n-1] != c.ahead {
		c.aheads = append(c.aheads[max(0, n-keptAheads+1):], c.ahead)
	}
	m.schedule = m.wall + c.ahead
	c.last = m.schedule
	return m
}

// isSame reports whether a time of the schedule's clock is one of this machine's, by as much as
// they were apart at any time.
func (c *clock) isSame(schedule, wall int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return schedule == wall || slices.Contains(c.aheads, schedule-wall) // what was read from the disk is the same
}

// reach makes sure that the schedule's clock is not behind the newest time in the file.
func (c *clock) reach(seen time.Time) moment {
	wall, _ := c.read()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, seen.UnixMilli())
	m := c.advance(wall)
	c.steps.Tell(-time.Duration(m.ahead()) * time.Millisecond)
	return m
}

// newest is when the newest event was received or the newest request began.
func newest(v *view) time.Time {
	at := time.UnixMilli(int64(v.bucket(eventsBucket).lastNumber() >> numberShift))
	if id, _ := v.bucket(requestsBucket).cursor().Last(); len(id) == len(uuid.UUID{}) {
		if began := delivery.IDTime(uuid.UUID(id)); began.After(at) {
			at = began
		}
	}
	return at
}
