package delivery

import (
	"strings"
	"testing"
	"time"
)

func TestNotBefore(t *testing.T) {
	now := time.Date(2026, 3, 13, 18, 30, 0, 500_000_000, time.UTC)
	const most = 24 * time.Hour
	for retryAfter, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, " 120\t": 2 * time.Minute, "086400": most, "86401": most, "99999999999999999999999999": most,
		strings.Repeat("0", 40) + "7": 7 * time.Second,
		"-1":                          0, "+5": 0, "1.5": 0, "5s": 0, "soon": 0, "0x10": 0, "1e3": 0, "1 2": 0,
		"Fri, 13 Mar 2026 18:31:00 GMT":       59_500 * time.Millisecond,
		"Friday, 13-Mar-26 18:31:00 GMT":      59_500 * time.Millisecond,
		"Fri Mar 13 18:31:00 2026":            59_500 * time.Millisecond,
		"Fri, 13 Mar 2026 18:29:00 GMT":       0,
		"Sat, 14 Mar 2026 19:30:00 GMT":       most,
		"Fri, 31 Dec 9999 23:59:59 GMT":       most,
		"Sat, 01 Jan 0001 00:00:00 GMT":       0,
		"2026-03-13T18:31:00Z":                0,
		"Fri, 13 Mar 2026 18:31:00 GMT, 1200": 0,
	} {
		if got := (RetryPolicy{RetryAfter: most}).notBefore(retryAfter, now); got != want {
			t.Errorf("%q: not before %v, want %v", retryAfter, got, want)
		}
		if got := (RetryPolicy{}).notBefore(retryAfter, now); got != 0 {
			t.Errorf("%q, though it is off: not before %v", retryAfter, got)
		}
	}
}
