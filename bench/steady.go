package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// times are the times at which events last arrived, for numbers from the first on.
type times struct {
	first int // counted from 0
	at    []atomic.Int64
}

// timed makes the sink note when the next n events arrive.
func (s *sink) timed(n int) *times {
	t := &times{first: s.take(0) - firstNumber, at: make([]atomic.Int64, n)}
	s.times.Store(t)
	return t
}

func (t *times) arrived(i int, at time.Time) {
	if i -= t.first; i >= 0 && i < len(t.at) {
		t.at[i].Store(at.UnixNano())
	}
}

// steady is a load that leaves the machine idle most of the time. Calls do not wait for
// each other.
type steady struct {
	rate int // events a second
	time time.Duration
	send func(ctx context.Context, i, number int) error
	// ignored reports whether an event need not arrive. If it is nil, all must.
	ignored func(i int) bool
}

// measure returns how long events took from just before they were sent until they
// arrived, sorted.
func (l steady) measure(ctx context.Context, r *rig) ([]time.Duration, error) {
	count := int(l.time.Seconds() * float64(l.rate))
	arrived := r.sink.timed(count)
	defer r.sink.times.Store(nil)
	sent := make([]time.Time, count)
	begin := time.Now()
	g := newGroup(ctx)
	for i := range count {
		if !pause(g.ctx, time.Until(begin.Add(time.Duration(i)*time.Second/time.Duration(l.rate)))) {
			break
		}
		number := r.sink.take(1)
		g.start(func(ctx context.Context) error {
			sent[i] = time.Now()
			return l.send(ctx, i, number)
		})
	}
	if err := g.wait(); err != nil {
		return nil, err
	}
	var took []time.Duration
	for i := range count {
		if l.ignored != nil && l.ignored(i) {
			continue
		}
		for deadline := time.Now().Add(arriveTimeout); arrived.at[i].Load() == 0; {
			if time.Now().After(deadline) {
				return nil, fmt.Errorf("event %d of %d did not arrive", i, count)
			}
			if !pause(ctx, time.Millisecond) {
				return nil, ctx.Err()
			}
		}
		took = append(took, time.Unix(0, arrived.at[i].Load()).Sub(sent[i]))
	}
	slices.Sort(took)
	return took, nil
}

// milliseconds returns a percentile of sorted durations.
func milliseconds(sorted []time.Duration, percent float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := min(len(sorted)-1, int(percent/100*float64(len(sorted))))
	return float64(sorted[i]) / float64(time.Millisecond)
}

// latencies adds three percentiles of sorted durations under the given names.
func (f figures) latencies(sorted []time.Duration, median, most, almostAll figure) {
	f[median] = milliseconds(sorted, 50)
	f[most] = milliseconds(sorted, 99)
	f[almostAll] = milliseconds(sorted, 99.9)
}
