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
	// retryTenants is how many tenants there are. Each has an endpoint, where all first
	// attempts fail.
	retryTenants = 100
	// retryDelay leaves time for all first attempts. retryRate makes the jitter so long
	// that retries fall due well below the rate at which they can be sent: retries that
	// are late because the machine is busy would say nothing about the schedule.
	retryDelay = 15 * time.Second
	retryRate  = 2500 // a second
)

func retrySpread(o *options) time.Duration {
	return time.Duration(o.failures) * time.Second / retryRate
}

// measureRetries measures R: how late retries are, from when they were due, which the log
// has in milliseconds, until they arrive.
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
		fmt.Fprintf(os.Stderr, "the first attempts took %s, so that retries had to wait for them\n", failed.Round(time.Second))
	}
	e.fanOut = 2 // each event arrives a second time
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

// identified is an array of events whose ids contain their numbers.
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

// idFormat makes an id whose last digits are a number.
const idFormat = "0199f1a2-7c3d-7e4f-8a5b-%012d"

func idNumber(id string) (int, error) {
	if len(id) != 36 {
		return 0, errors.New("not an id: " + id)
	}
	return strconv.Atoi(id[24:])
}

// lateness reads in the logs of all tenants when retries were due, and returns how much
// later each arrived, sorted.
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

// failedRequests calls found for each failed request of a tenant, with the number of its
// event and the time at which the next attempt was due.
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
