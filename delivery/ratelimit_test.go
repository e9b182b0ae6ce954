package delivery_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestStarts takes starts at any time, and changes the limit: within no window there are more than
// the limit in force allows, and one more for the beginning.
func TestStarts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		draw := func() *delivery.RateLimit {
			return &delivery.RateLimit{
				Requests: rapid.IntRange(1, delivery.MaxRateRequests).Draw(t, "requests"),
				Per:      time.Duration(rapid.Int64Range(int64(delivery.MinRatePer), int64(delivery.MaxRatePer)).Draw(t, "per")).Truncate(time.Millisecond),
			}
		}
		var s delivery.Starts
		limit, now := draw(), int64(1_700_000_000_000_000)
		var starts []int64
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now += rapid.Int64Range(0, 2*limit.Span(30)).Draw(t, "later")
			free := s.Free(limit, now)
			if (free == 0) != (s.LookAt()-now > (delivery.StartsAhead - delivery.LookAhead).Microseconds()) {
				t.Fatalf("%d starts are free, with the next in %d µs", free, s.LookAt()-now+delivery.LookAhead.Microseconds())
			}
			n := min(free, rapid.IntRange(1, 40).Draw(t, "deliveries"))
			first := int64(0)
			if n > 0 {
				first = s.Take(limit, now, n)
			}
			for i := range n {
				at := first + limit.Span(i)
				if at < now || at > now+delivery.StartsAhead.Microseconds() {
					t.Fatalf("a start in %d µs, of %d that are free", at-now, free)
				}
				starts = append(starts, at)
			}
			if rapid.IntRange(0, 9).Draw(t, "change") == 0 {
				before := limit
				limit, starts = draw(), nil
				s.Change(before, limit, now)
				if *before != *limit && s.LookAt() > now+limit.Span(1) {
					t.Fatalf("after a change the next start is in %d µs, want %d at most", s.LookAt()-now, limit.Span(1))
				}
			}
		}
		for i := range starts {
			for j := i + 1; j < len(starts); j++ {
				// Each is rounded up to a microsecond.
				if (starts[j]-starts[i]+1)*int64(limit.Requests) < int64(j-i)*limit.Per.Microseconds() {
					t.Fatalf("starts %d and %d are %d µs apart at %+v", i, j, starts[j]-starts[i], limit)
				}
			}
		}
	})
}
