package delivery

import (
	"math/rand/v2"
	"time"
)

// RetryPolicy says how often and when a failed delivery is tried again.
type RetryPolicy struct {
	// Attempts in all, the first included.
	Attempts int
	// Delay from the end of a failed attempt to the next one.
	Delay time.Duration
	// JitterMin and JitterMax bound what is added to each delay, uniformly, so
	// that deliveries that failed together do not come back together.
	JitterMin, JitterMax time.Duration
}

// Next is how long after the given attempt has failed the next one is due; false if
// that was the last.
func (p RetryPolicy) Next(attempt int) (time.Duration, bool) {
	if attempt >= p.Attempts {
		return 0, false
	}
	return p.Delay + p.JitterMin + rand.N(p.JitterMax-p.JitterMin+1), true
}
