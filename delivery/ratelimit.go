package delivery

import "time"

// RateLimit is how many requests to a webhook may begin in a time, by all processes together. They
// begin evenly spaced: each has a **start**, and there is one for each part of the time. It never changes.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

// The bounds of a RateLimit.
const (
	MaxRateRequests = 100_000
	MinRatePer      = time.Second
	MaxRatePer      = 24 * time.Hour
)

const (
	// StartsAhead is how far ahead of its start a Claim leases a delivery at most: so the claims of
	// a webhook whose requests follow each other quickly are few. The process waits for the start.
	StartsAhead = 100 * time.Millisecond
	// LookAhead is how long before the next start it is worth looking at a webhook: a start is lost
	// if no delivery was claimed for it by then.
	LookAhead = 25 * time.Millisecond
)

func (r *RateLimit) size() int {
	if r == nil {
		return 0
	}
	return rateLimitBytes
}

// Span is how many microseconds there are between a start and the n-th one behind it.
func (r *RateLimit) Span(n int) int64 {
	per, requests := r.Per.Microseconds(), int64(max(1, r.Requests))
	return (int64(n)*per + requests - 1) / requests
}

// Starts gives the starts of a webhook, for a Store that has them in memory. Times are microseconds
// of the clock by which deliveries fall due. A start that nobody takes is lost: none is saved up.
type Starts struct{ next int64 }

// Free is how many starts there are to take now.
func (s *Starts) Free(r *RateLimit, now int64) int {
	ahead := now + StartsAhead.Microseconds() - max(s.next, now)
	if ahead < 0 {
		return 0
	}
	return 1 + int(ahead*int64(max(1, r.Requests))/r.Per.Microseconds())
}

// Take takes the next starts, and returns the first one.
func (s *Starts) Take(r *RateLimit, now int64, n int) (first int64) {
	first = max(s.next, now)
	s.next = first + r.Span(n)
	return first
}

// In is how long it is until the next start.
func (s *Starts) In(now int64) time.Duration {
	return time.Duration(max(0, s.next-now)) * time.Microsecond
}

// LookAt is from when on it is worth looking at the webhook.
func (s *Starts) LookAt() int64 { return s.next - LookAhead.Microseconds() }

// Change follows a change of the limit, either of which may be nil. The new one counts at once: what
// it allows does not wait for what the one before did not.
func (s *Starts) Change(from, to *RateLimit, now int64) {
	switch {
	case to == nil:
		s.next = 0
	case from != nil && *from != *to:
		s.next = min(s.next, now+to.Span(1))
	}
}
