package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	throughputTime = 10 * time.Second
	emitters       = 8
	eventsPerCall  = 100
	singles        = 64 // emitters of single events
)

// measureThroughput emits as fast as it can for a while, in arrays and singly, and
// counts what arrives.
func measureThroughput(ctx context.Context, r *rig) ([]result, error) {
	if err := r.subscribe(ctx, "/ok"); err != nil {
		return nil, err
	}
	arrays, err := r.flood(ctx, emitters, array(eventsPerCall), eventsPerCall)
	if err != nil {
		return nil, err
	}
	single, err := r.flood(ctx, singles, event(time.Now()), 1)
	if err != nil {
		return nil, err
	}
	return []result{
		{fmt.Sprintf("arrays of %d from %d connections: delivered a second", eventsPerCall, emitters), fmt.Sprintf("%.0f", arrays), ""},
		{fmt.Sprintf("single events from %d connections: delivered a second", singles), fmt.Sprintf("%.0f", single), ""},
	}, nil
}

// flood emits from several connections until the time is over, waits until all has
// arrived, and gives how many events a second that was.
func (r *rig) flood(ctx context.Context, connections int, body []byte, events int) (float64, error) {
	begin, before := time.Now(), r.sink.count()
	var emitted atomic.Int64
	errs := make(chan error, connections)
	var emitting sync.WaitGroup
	for range connections {
		emitting.Go(func() {
			for time.Since(begin) < throughputTime {
				if err := r.post(ctx, "/events", body); err != nil {
					errs <- err
					return
				}
				emitted.Add(int64(events))
			}
		})
	}
	emitting.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
	}
	for r.sink.count()-before < int(emitted.Load()) {
		if !pause(ctx, 10*time.Millisecond) {
			return 0, ctx.Err()
		}
	}
	return float64(emitted.Load()) / time.Since(begin).Seconds(), nil
}
