package main

import (
	"context"
)

const (
	emitters      = 8 // connections
	eventsPerCall = 100
	singles       = 64 // connections for single events
	fanOut        = 20
)

// arrays is the load of E, which other workloads are compared with.
var arrays = load{connections: emitters, events: eventsPerCall, fanOut: 1}

// measureArrays measures E.
func measureArrays(ctx context.Context, r *rig) (figures, error) {
	return r.toOne(ctx, r.sink.url, arrays)
}

// measureSingles measures E1.
func measureSingles(ctx context.Context, r *rig) (figures, error) {
	return r.toOne(ctx, r.sink.url, load{connections: singles, events: 1, fanOut: 1})
}

// measureFanOut measures F.
func measureFanOut(ctx context.Context, r *rig) (figures, error) {
	for range fanOut {
		url, err := r.sink.listen()
		if err != nil {
			return nil, err
		}
		if err := r.subscribe(ctx, oneTenant, url+okPath, eventType); err != nil {
			return nil, err
		}
	}
	return load{connections: singles, events: 1, fanOut: fanOut}.measure(ctx, r)
}

// toOne measures a load of events that one webhook wants.
func (r *rig) toOne(ctx context.Context, url string, l load) (figures, error) {
	if err := r.subscribe(ctx, oneTenant, url+okPath, eventType); err != nil {
		return nil, err
	}
	return l.measure(ctx, r)
}
