package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// RetryPolicy says how often and when a failed delivery is tried again.
type RetryPolicy struct {
	// Attempts in all, the first included.
	Attempts int
	// Delays are from the end of a failed attempt to the next one: the n-th after the n-th
	// attempt, the last one again and again. There is at least one.
	Delays []time.Duration
	// JitterMin and JitterMax bound what is added to each delay, uniformly, so
	// that deliveries that failed together do not come back together.
	JitterMin, JitterMax time.Duration
	// RetryAfter is how long an endpoint can put the next attempt off by that header, at the
	// most; 0: not at all.
	RetryAfter time.Duration
}

// Next is how long after the given attempt has failed the next one is due; false if
// that was the last.
func (p RetryPolicy) Next(attempt int) (time.Duration, bool) {
	if attempt >= p.Attempts {
		return 0, false
	}
	delay := p.Delays[min(attempt, len(p.Delays))-1]
	return delay + p.JitterMin + rand.N(p.JitterMax-p.JitterMin+1), true
}

// Bounds of retries, of the configuration and of webhooks. Beyond them a value is probably a
// mistake.
const (
	MaxAttempts   = 100
	MaxDelays     = 30
	MaxRetryDelay = 7 * 24 * time.Hour
)

// validate returns what makes no sense.
func (p RetryPolicy) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(p.Attempts >= 1 && p.Attempts <= MaxAttempts, "retry attempts must be 1 to %d, not %d", MaxAttempts, p.Attempts)
	check(len(p.Delays) >= 1 && len(p.Delays) <= MaxDelays, "retry delays must be 1 to %d, not %d", MaxDelays, len(p.Delays))
	for _, delay := range p.Delays {
		check(delay >= 0 && delay <= MaxRetryDelay, "retry delay must be 0 to %s, not %s", MaxRetryDelay, delay)
	}
	check(p.JitterMin >= 0 && p.JitterMax <= MaxRetryDelay, "retry jitter must lie within 0 and %s", MaxRetryDelay)
	check(p.JitterMin <= p.JitterMax, "retry jitter must go from the shorter duration to the longer, not from %s to %s", p.JitterMin, p.JitterMax)
	check(p.RetryAfter >= 0 && p.RetryAfter <= MaxRetryDelay, "retry retry_after must be 0 to %s, not %s", MaxRetryDelay, p.RetryAfter)
	return errors.Join(errs...)
}
