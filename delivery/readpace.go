package delivery

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

const (
	// readCredit is how long a tenant's reads may take before they rest, so that those who read
	// little never wait.
	readCredit = 5 * time.Millisecond
	// maxReadStep is the longest that a step counts for: it may have waited for a store that did
	// not answer, which is no work.
	maxReadStep = 50 * time.Millisecond
	// webhookRate is how many bytes of a tenant's webhooks are read and changed in a second, once
	// webhookBurst were: each becomes memory that the garbage collector has to look after, which
	// runs for everybody.
	webhookRate  = 8 << 20
	webhookBurst = 8 << 20
	// maxWebhookDebt is what reading all of them for an emit counts for at most.
	maxWebhookDebt = 10 * webhookRate
	// minReadPaces is how many tenants are known before those are forgotten that have rested.
	minReadPaces = 1000
)

// readPaces have each tenant read in steps, and rest for as long as these take: so it never keeps
// the store, a processor and the garbage collector busy for more than half of the time, however
// much it has and however many of its calls read at once.
type readPaces struct {
	mu    sync.Mutex
	of    map[string]*readPace
	sweep int // how many there may be before some are forgotten
}

// readPace is of one tenant. The lock of readPaces guards it.
type readPace struct {
	rested time.Time     // when it will have rested for all of its steps
	step   time.Duration // how long its last step took
	steps  int           // that wait or run
	paid   time.Time     // when webhookRate will have let through all that was read of webhooks
}

// run runs a step of a tenant's reads, once it has rested enough.
func (r *readPaces) run(ctx context.Context, tenant string, step func() error) error {
	pace, expected, wait := r.begin(tenant)
	took := time.Duration(0)
	defer func() { r.end(pace, expected, took) }()
	if wait > 0 {
		if err := backoff.Sleep(ctx, wait); err != nil {
			return err
		}
	}
	began := time.Now()
	err := step()
	took = min(time.Since(began), maxReadStep)
	// What became ready meanwhile must not wait for the steps that follow: while garbage is
	// collected, no other thread may be there to run it.
	runtime.Gosched()
	return err
}

// begin counts a step, for as long as it will take by the last one, and says how long to rest
// before it. So steps that come together do not run together.
func (r *readPaces) begin(tenant string) (pace *readPace, expected, wait time.Duration) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	pace = r.find(tenant, now)
	if pace.rested.Before(now) {
		pace.rested = now
	}
	wait = pace.rested.Sub(now) - readCredit
	expected = pace.step
	pace.rested = pace.rested.Add(2 * expected)
	pace.steps++
	return pace, expected, wait
}

// spend runs what reads or changes some of a tenant's webhooks, once webhookRate allows it, and
// counts of how many bytes they were.
func (r *readPaces) spend(ctx context.Context, tenant string, do func() (bytes int, err error)) error {
	bytes := 0
	wait := r.count(tenant, maxStepBytes) // those that come together must not go on together
	defer func() { r.count(tenant, bytes-maxStepBytes) }()
	if wait > 0 {
		if err := backoff.Sleep(ctx, wait); err != nil {
			return err
		}
	}
	var err error
	bytes, err = do()
	return err
}

// count counts bytes of a tenant's webhooks, and says how long to wait for those before them.
func (r *readPaces) count(tenant string, bytes int) (wait time.Duration) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	pace := r.find(tenant, now)
	if pace.paid.Before(now) {
		pace.paid = now
	}
	wait = pace.paid.Sub(now) - webhookBurst*time.Second/webhookRate
	pace.paid = pace.paid.Add(time.Duration(bytes) * time.Second / webhookRate)
	return wait
}

// find finds what is known of a tenant. The caller has the lock.
func (r *readPaces) find(tenant string, now time.Time) *readPace {
	pace := r.of[tenant]
	if pace == nil {
		r.forget(now)
		pace = new(readPace)
		r.of[tenant] = pace
	}
	return pace
}

// end counts what a step took in place of what was expected, 0 if it did not run.
func (r *readPaces) end(pace *readPace, expected, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pace.rested = pace.rested.Add(2 * (took - expected))
	pace.steps--
	if took > 0 {
		pace.step = took
	}
}

// forget forgets tenants of which there is nothing to know. The caller has the lock.
func (r *readPaces) forget(now time.Time) {
	if r.of == nil {
		r.of = make(map[string]*readPace)
	}
	if len(r.of) < max(r.sweep, minReadPaces) {
		return
	}
	for tenant, pace := range r.of {
		if pace.steps == 0 && pace.rested.Before(now) && pace.paid.Before(now) {
			delete(r.of, tenant)
		}
	}
	r.sweep = 2 * len(r.of)
}
