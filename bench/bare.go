package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

const (
	bareConnections = 64
	// bareShare is what part of a load's time the bare loop is measured before and after
	// the load: a fifth.
	bareShare = 5
)

// bareRun is what was measured in one run of the bare loop.
type bareRun struct {
	posts int64
	took  time.Duration
	cpu   time.Duration // CPU time of client and sink
}

func (b bareRun) rate() float64 { return float64(b.posts) / b.took.Seconds() }

func (b bareRun) plus(other bareRun) bareRun {
	return bareRun{b.posts + other.posts, b.took + other.took, b.cpu + other.cpu}
}

// bare measures a loop of plain POSTs. No sender could do better at the machine's present
// pace.
func (r *rig) bare(ctx context.Context) (run bareRun, err error) {
	var stop atomic.Bool
	g := newGroup(ctx)
	for range bareConnections {
		g.start(func(ctx context.Context) error {
			var body []byte
			for !stop.Load() {
				body = appendDelivered(body[:0], r.sink.take(1))
				if err := r.barePost(ctx, body); err != nil {
					return err
				}
			}
			return nil
		})
	}
	before, after, err := during(g, r.time/bareShare, r.sinkUsage)
	stop.Store(true)
	if err := cmp.Or(g.wait(), err); err != nil {
		return run, err
	}
	run = bareRun{after.arrived - before.arrived, after.at.Sub(before.at), after.bench - before.bench}
	r.bares = append(r.bares, run)
	return run, nil
}

// barePost sends a request as the product would.
func (r *rig) barePost(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.sink.url+okPath, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Level-Signature", delivery.Signature(r.token, body))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the sink answered %s", resp.Status)
	}
	return nil
}

// summary sums up all runs of the bare loop that were measured with one store.
func summary(runs []bareRun) figures {
	all, lowest, highest := bareRun{}, runs[0].rate(), runs[0].rate()
	for _, run := range runs {
		all = all.plus(run)
		lowest, highest = min(lowest, run.rate()), max(highest, run.rate())
	}
	return figures{
		rate:     all.rate(),
		slowest:  lowest,
		fastest:  highest,
		cpuBench: all.cpu.Seconds() * 1000 / float64(all.posts),
	}
}
