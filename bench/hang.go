package main

import (
	"context"
	"errors"
)

const (
	hangRate      = 200 // events a second
	hangEndpoints = 100
	hangEvery     = 10 // every 10th endpoint hangs
)

// measureHanging measures H. Events go to one endpoint after the other. At first all
// endpoints answer, then a tenth of them hang. Both times it measures the latency of the
// others.
func measureHanging(ctx context.Context, r *rig) (figures, error) {
	hangs := func(i int) bool { return i%hangEvery == 0 }
	err := r.subscribeTenants(ctx, hangEndpoints, 1, func(tenant int) string {
		if hangs(tenant) {
			return hangPath
		}
		return okPath
	})
	if err != nil {
		return nil, err
	}
	l := steady{
		rate: hangRate,
		time: r.time * 3 / 2,
		send: func(ctx context.Context, i, number int) error {
			return r.emit(ctx, tenantName(i%hangEndpoints), appendEvent(nil, number, typeName(0)))
		},
		ignored: hangs,
	}
	alone, err := l.measure(ctx, r)
	if err != nil {
		return nil, err
	}
	r.sink.hanging.Store(true)
	beside, err := l.measure(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.sink.hung.Load() == 0 {
		return nil, errors.New("no request has hung")
	}
	f := make(figures)
	f.latencies(beside, p50, p99, p999)
	f.latencies(alone, aloneP50, aloneP99, aloneP999)
	return f, nil
}
