package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"
)

const (
	latencyRate = 100 // events a second
	latencyTime = 20 * time.Second
	hanging     = 16 // endpoints that do not answer
)

// measureLatency emits at a steady rate and measures from before the emit until
// the receipt; the same rate of plain POSTs to the same receiver goes before.
func measureLatency(ctx context.Context, r *rig) ([]result, error) {
	if err := r.subscribe(ctx, "/ok"); err != nil {
		return nil, err
	}
	bare, err := steadily(ctx, r, func(made time.Time) error { return barePost(ctx, r.sink.url+"/ok", made) })
	if err != nil {
		return nil, err
	}
	emitted, err := steadily(ctx, r, func(made time.Time) error {
		return r.post(ctx, "/events", event(made))
	})
	if err != nil {
		return nil, err
	}
	return []result{
		{fmt.Sprintf("plain POST at %d/s: p50, p99", latencyRate), pair(bare), ""},
		{fmt.Sprintf("emit to receipt at %d/s: p50, p99", latencyRate), pair(emitted), "p50 under 5ms"},
	}, nil
}

// measureHang does the same beside endpoints that hang, which get every event.
func measureHang(ctx context.Context, r *rig) ([]result, error) {
	emit := func(made time.Time) error {
		return r.post(ctx, "/events", event(made))
	}
	if err := r.subscribe(ctx, "/ok"); err != nil {
		return nil, err
	}
	alone, err := steadily(ctx, r, emit)
	if err != nil {
		return nil, err
	}
	for i := range hanging {
		if err := r.subscribe(ctx, fmt.Sprintf("/hang%d", i)); err != nil {
			return nil, err
		}
	}
	beside, err := steadily(ctx, r, emit)
	if err != nil {
		return nil, err
	}
	return []result{
		{fmt.Sprintf("healthy endpoint alone at %d/s: p50, p99, max", latencyRate), triple(alone), ""},
		{fmt.Sprintf("beside %d endpoints that hang: p50, p99, max", hanging), triple(beside), "no delay"},
	}, nil
}

// steadily calls at a steady rate and returns the sorted latencies.
func steadily(ctx context.Context, r *rig, send func(made time.Time) error) ([]time.Duration, error) {
	r.sink.latencies()
	ticker := time.NewTicker(time.Second / latencyRate)
	defer ticker.Stop()
	count := int(latencyTime.Seconds() * latencyRate)
	errs := make(chan error, count)
	for range count {
		select {
		case <-ticker.C:
			go func() { errs <- send(time.Now()) }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	for range count {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	var all []time.Duration
	for deadline := time.Now().Add(time.Minute); len(all) < count; all = append(all, r.sink.latencies()...) {
		if time.Now().After(deadline) || !pause(ctx, 10*time.Millisecond) {
			return nil, fmt.Errorf("%d of %d received", len(all), count)
		}
	}
	slices.Sort(all)
	return all, nil
}

func barePost(ctx context.Context, url string, made time.Time) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(event(made)))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
