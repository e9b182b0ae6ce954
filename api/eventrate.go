package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TenantLimits is what a tenant may have in this process, beside what is bounded anyway. What
// is 0 is not limited.
type TenantLimits struct {
	// Events may be emitted in EventsPer: so many at once, and then as many as fill that up
	// again.
	Events    int
	EventsPer time.Duration
	// Stored is how many bytes of events and requests may be stored, if Settings.CountStored
	// has them counted.
	Stored int64
}

// EventRate counts the events of each tenant. All APIs of a process share one, so that a
// reload forgets nothing.
type EventRate struct {
	mu    sync.Mutex
	full  map[string]time.Time // when the tenant may emit as many as it may at once
	sweep int                  // how many tenants there may be before those are dropped that may
}

// NewEventRate makes an EventRate by which nobody has emitted anything.
func NewEventRate() *EventRate { return &EventRate{full: make(map[string]time.Time)} }

// quota is what a tenant may still emit.
type quota struct {
	left int           // events
	full time.Duration // until it is all that it may at once
	wait time.Duration // until it is as much as was asked for; 0 if it is
}

// take counts n events if count is set, unless they are too many now. Less than none are
// given back.
func (r *EventRate) take(tenant string, n int, limits *TenantLimits, count bool) quota {
	each := float64(limits.EventsPer) / float64(limits.Events)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	used := max(r.full[tenant].Sub(now), 0)
	if used > limits.EventsPer { // which was longer before a reload
		used = limits.EventsPer
		r.full[tenant] = now.Add(used)
	}
	after := used + time.Duration(float64(n)*each)
	if after > limits.EventsPer {
		return quota{left: eventsLeft(limits, used, each), full: used, wait: after - limits.EventsPer}
	}
	if !count {
		return quota{left: eventsLeft(limits, used, each), full: used}
	}
	if after = max(after, 0); after == 0 {
		delete(r.full, tenant)
	} else {
		r.full[tenant] = now.Add(after)
		r.dropFull(now)
	}
	return quota{left: eventsLeft(limits, after, each), full: after}
}

func eventsLeft(limits *TenantLimits, used time.Duration, each float64) int {
	return int(math.Round(float64(limits.EventsPer-used)/each*1000) / 1000)
}

// dropFull forgets tenants of which there is nothing to know. The caller holds r.mu.
func (r *EventRate) dropFull(now time.Time) {
	if len(r.full) < max(r.sweep, 1000) {
		return
	}
	for tenant, full := range r.full {
		if !full.After(now) {
			delete(r.full, tenant)
		}
	}
	r.sweep = 2 * len(r.full)
}

// mayEmit refuses an emit of a tenant that may not emit n events now. If count is set, they
// are counted.
func (c *call) mayEmit(n int, count bool) error {
	limits := &c.api.Limits
	if limits.Events == 0 {
		return nil
	}
	if n > limits.Events {
		return &problem{
			Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("A tenant may emit %d events in %s: emit no more than that in one call.", limits.Events, limits.EventsPer),
		}
	}
	q := c.api.EventRate.take(c.Tenant, n, limits, count)
	// https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
	setHeaders(c.answer,
		"Ratelimit-Policy", fmt.Sprintf(`"events";q=%d;w=%d`, limits.Events, seconds(limits.EventsPer)),
		"Ratelimit", fmt.Sprintf(`"events";r=%d;t=%d`, q.left, seconds(q.full)))
	if q.wait == 0 {
		return nil
	}
	return &problem{
		Status: http.StatusTooManyRequests, retryAfter: time.Duration(seconds(q.wait)) * time.Second, limit: limitEvents,
		Detail: fmt.Sprintf("A tenant may emit %d events in %s. Try again when Retry-After says.", limits.Events, limits.EventsPer),
	}
}

// takeBack does not count events that were refused after all. Those that may be stored count,
// such as those of a client that did not wait for its answer.
func (c *call) takeBack(n int, err error) {
	if c.api.Limits.Events > 0 && slices.ContainsFunc(notStored, func(refusal error) bool { return errors.Is(err, refusal) }) {
		c.api.EventRate.take(c.Tenant, -n, &c.api.Limits, true)
	}
}

// notStored are the errors of an emit of which nothing is stored.
var notStored = []error{
	delivery.ErrBusy, delivery.ErrFull, delivery.ErrUnavailable, delivery.ErrTooManyDeliveries, delivery.ErrFiltersTooCostly, delivery.ErrOrdersTooCostly, delivery.ErrTooManyEventTypes,
}

// seconds rounds up.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
