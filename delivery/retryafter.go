package delivery

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// notBefore is how long after a failed request the next attempt must not be made, by what its
// response has as Retry-After (RFC 9110, 10.2.3): seconds, or a date. What is neither of the two
// is ignored.
func (p RetryPolicy) notBefore(retryAfter string, now time.Time) time.Duration {
	retryAfter = strings.TrimSpace(retryAfter)
	if p.RetryAfter == 0 || retryAfter == "" {
		return 0
	}
	if seconds, ok := deltaSeconds(retryAfter); ok {
		return min(seconds, p.RetryAfter)
	}
	at, err := http.ParseTime(retryAfter)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), p.RetryAfter))
}

// deltaSeconds reads a number of seconds, of which there may be more than a duration can have.
func deltaSeconds(text string) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Second)
	n := int64(0)
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(10*min(n, most/10)+int64(c-'0'), most)
	}
	return time.Duration(n) * time.Second, true
}
