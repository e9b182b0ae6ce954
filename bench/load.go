package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxBacklog is how many deliveries may be on their way before emitters wait. It
	// keeps everything busy, and drains quickly.
	maxBacklog = 20_000
	// arriveTimeout is how long nothing may arrive while deliveries are missing.
	arriveTimeout = time.Minute
	// strayTime is how long to wait for deliveries that arrive twice.
	strayTime = 300 * time.Millisecond
)

// load keeps the product busy with events.
type load struct {
	connections int
	events      int // of each call
	fanOut      int // deliveries of each event
	// composer makes a function that composes the bodies of one connection. Without it,
	// all events have one tenant and one type.
	composer func() compose
}

// compose appends the events of a call to b, numbered from first on, and chooses their
// tenant.
type compose func(b []byte, first int) (tenant string, body []byte)

// measure emits as fast as deliveries arrive, and counts deliveries once everything is
// warm. The bare loop runs before and after. In the end every delivery must have arrived
// exactly once.
func (l load) measure(ctx context.Context, r *rig) (figures, error) {
	if l.composer == nil {
		l.composer = func() compose {
			return func(b []byte, first int) (string, []byte) {
				return oneTenant, appendEvents(b, first, l.events, eventType)
			}
		}
	}
	bareBefore, err := r.bare(ctx)
	if err != nil {
		return nil, err
	}
	before, after, profile, err := l.run(ctx, r)
	if err != nil {
		return nil, err
	}
	bareAfter, err := r.bare(ctx)
	if err != nil {
		return nil, err
	}
	f := r.since(before, after)
	f[rate] = float64(after.arrived-before.arrived) / after.at.Sub(before.at).Seconds()
	f[bareRate] = bareBefore.plus(bareAfter).rate()
	f[toBare] = f[rate] / f[bareRate]
	for name, share := range profile {
		f[name] = share * f[cpuCaddy]
	}
	return f, nil
}

// run puts the load on the product. It returns the usage at the beginning and at the end of
// the measured time, and the parts of a profile that is taken after that, since taking it
// costs CPU, too.
func (l load) run(ctx context.Context, r *rig) (before, after usage, profile map[figure]float64, err error) {
	var stop atomic.Bool
	e := newEmission(r, l.fanOut)
	g := newGroup(ctx)
	for range l.connections {
		compose := l.composer()
		g.start(func(ctx context.Context) error {
			var tenant string
			var body []byte
			for !stop.Load() {
				first, ok := e.take(ctx, l.events)
				if !ok {
					return ctx.Err()
				}
				tenant, body = compose(body[:0], first)
				if err := r.emit(ctx, tenant, body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if before, after, err = during(g, r.time, r.usage); err == nil {
		profile, err = r.profile(g.ctx, r.time/profileShare)
	}
	stop.Store(true)
	if err := cmp.Or(g.wait(), err); err != nil {
		return before, after, nil, err
	}
	return before, after, profile, e.finish(ctx)
}

// emission keeps account of events, each of which has fanOut deliveries. Nothing else
// may arrive at the sink meanwhile.
type emission struct {
	sink   *sink
	fanOut int
	first  int   // the number of the first event
	before int64 // how many deliveries had arrived before

	mu     sync.Mutex
	events int
}

func newEmission(r *rig, fanOut int) *emission {
	return &emission{sink: r.sink, fanOut: fanOut, first: r.sink.take(0), before: r.sink.arrived.Load()}
}

// missing is how many deliveries have not arrived.
func (e *emission) missing() int {
	return e.events*e.fanOut - int(e.sink.arrived.Load()-e.before)
}

// take gives numbers to that many events, once not too many deliveries are on their way.
// It returns false if ctx ends first.
func (e *emission) take(ctx context.Context, events int) (first int, ok bool) {
	e.mu.Lock() // one emitter waits for the backlog, the others for the lock
	defer e.mu.Unlock()
	for e.missing() > maxBacklog {
		if !pause(ctx, 5*time.Millisecond) {
			return 0, false
		}
	}
	e.events += events
	return e.sink.take(events), true
}

// finish waits until every delivery has arrived. It returns an error if some did not
// arrive, or arrived twice.
func (e *emission) finish(ctx context.Context) error {
	lately, since := e.missing(), time.Now()
	for lately > 0 {
		if !pause(ctx, 5*time.Millisecond) {
			return ctx.Err()
		}
		if now := e.missing(); now != lately {
			lately, since = now, time.Now()
		} else if time.Since(since) > arriveTimeout {
			return fmt.Errorf("%d of %d deliveries did not arrive", now, e.events*e.fanOut)
		}
	}
	if !pause(ctx, strayTime) {
		return ctx.Err()
	}
	return e.sink.check(e.first, e.events, e.fanOut)
}
