package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	// retryTenants have an endpoint each, whose first attempts all fail.
	retryTenants = 100
	// retryDelay leaves time for all first attempts, and retryRate makes the
	// jitter so long that retries fall due at a pace well below what can be sent:
	// what is late because the machine is full says nothing about the schedule.
	retryDelay = 15 * time.Second
	retryRate  = 2500 // a second
)

func retrySpread(o *options) time.Duration {
	return time.Duration(o.failures) * time.Second / retryRate
}

// measureRetries: R. When retries were due is what the log says, in milliseconds;
// when they started, when they arrived.
func measureRetries(ctx context.Context, r *rig) (figures, error) {
	if err := r.subscribeTenants(ctx, retryTenants, 1, func(int) string { return failPath }); err != nil {
		return nil, err
	}
	calls := r.failures / eventsPerCall
	count := calls * eventsPerCall
	arrived := r.sink.timed(count)
	defer r.sink.times.Store(nil)
	e := newEmission(r, 1)
	begin := time.Now()
	err := each(ctx, emitters, calls, func(ctx context.Context, call int) error {
		first, ok := e.take(ctx, eventsPerCall)
		if !ok {
			return ctx.Err()
		}
		return r.emit(ctx, tenantName(call%retryTenants), identified(first))
	})
	if err != nil {
		return nil, err
	}
	for e.missing() > 0 {
		if !pause(ctx, time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	failed := time.Since(begin)
	if failed > retryDelay {
		fmt.Fprintf(os.Stderr, "the first attempts took %s, and so met with retries\n", failed.Round(time.Second))
	}
	e.fanOut = 2 // each comes again
	if err := e.finish(ctx); err != nil {
		return nil, err
	}
	late, err := r.lateness(ctx, arrived)
	if err != nil {
		return nil, err
	}
	if len(late) != count {
		return nil, fmt.Errorf("the log has %d failures, not %d", len(late), count)
	}
	f := make(figures)
	f.latencies(late, p50, p99, p999)
	f[failureRate] = float64(count) / failed.Seconds()
	f[retriesRate] = float64(count) / retrySpread(r.options).Seconds()
	return f, nil
}

// identified is an array of events whose ids tell their numbers.
func identified(first int) []byte {
	var b []byte
	for i := range eventsPerCall {
		b = append(b, arraySeparator(i))
		b = append(b, `{"event_id":"`...)
		b = fmt.Appendf(b, idFormat, first+i)
		b = append(b, `",`...)
		b = append(b, appendEvent(nil, first+i, typeName(0))[1:]...)
	}
	return append(b, ']')
}

// idFormat has a number in its last digits.
const idFormat = "0199f1a2-7c3d-7e4f-8a5b-%012d"

func idNumber(id string) (int, error) {
	if len(id) != 36 {
		return 0, errors.New("not an id: " + id)
	}
	return strconv.Atoi(id[24:])
}

// lateness reads the log of all tenants for when retries were due, and gives how
// much later they arrived, sorted.
func (r *rig) lateness(ctx context.Context, arrived *times) ([]time.Duration, error) {
	var mu sync.Mutex
	var late []time.Duration
	err := each(ctx, settingUp, retryTenants, func(ctx context.Context, i int) error {
		return r.failedRequests(ctx, tenantName(i), func(number int, due time.Time) {
			mu.Lock()
			defer mu.Unlock()
			at := time.Unix(0, arrived.at[number-firstNumber-arrived.first].Load())
			late = append(late, at.Sub(due))
		})
	})
	slices.Sort(late)
	return late, err
}

// failedRequests gives the event's number and the next attempt's time of each.
func (r *rig) failedRequests(ctx context.Context, tenant string, found func(number int, due time.Time)) error {
	for cursor := ""; ; {
		var page struct {
			Data []struct {
				EventID string    `json:"event_id"`
				Next    time.Time `json:"next_attempt_at"`
			} `json:"data"`
			Next string `json:"next_cursor"`
		}
		if err := r.call(ctx, http.MethodGet, tenant, "/requests?status=failed&limit=200"+cursor, nil, &page); err != nil {
			return err
		}
		for _, row := range page.Data {
			number, err := idNumber(row.EventID)
			if err != nil {
				return err
			}
			found(number, row.Next)
		}
		if page.Next == "" {
			return nil
		}
		cursor = "&cursor=" + page.Next
	}
}
