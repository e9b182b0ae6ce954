package main

import (
	"context"
	"slices"
)

const latencyRate = 100 // events a second

// measureLatency measures L. Bare POSTs are measured at the same rate before and after.
func measureLatency(ctx context.Context, r *rig) (figures, error) {
	if err := r.subscribe(ctx, oneTenant, r.sink.url+okPath, eventType); err != nil {
		return nil, err
	}
	bare := steady{rate: latencyRate, time: r.time / 2, send: func(ctx context.Context, _, number int) error {
		return r.barePost(ctx, appendDelivered(nil, number))
	}}
	emitted := steady{rate: latencyRate, time: 2 * r.time, send: r.emitOne}

	bareTook, err := bare.measure(ctx, r)
	if err != nil {
		return nil, err
	}
	first := r.sink.take(0)
	before, err := r.usage(ctx)
	if err != nil {
		return nil, err
	}
	took, err := emitted.measure(ctx, r)
	if err != nil {
		return nil, err
	}
	after, err := r.usage(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.sink.check(first, len(took), 1); err != nil {
		return nil, err
	}
	bareToo, err := bare.measure(ctx, r)
	if err != nil {
		return nil, err
	}
	f := r.since(before, after)
	f.latencies(took, p50, p99, p999)
	bareTook = append(bareTook, bareToo...)
	slices.Sort(bareTook)
	f.latencies(bareTook, bareP50, bareP99, bareP999)
	return f, nil
}

func (r *rig) emitOne(ctx context.Context, _, number int) error {
	return r.emit(ctx, oneTenant, appendEvent(nil, number, eventType))
}
