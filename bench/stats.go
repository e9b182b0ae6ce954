package main

import (
	"fmt"
	"time"
)

// percentile of sorted values.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func pair(sorted []time.Duration) string {
	return fmt.Sprintf("%s, %s", short(percentile(sorted, 0.5)), short(percentile(sorted, 0.99)))
}

func triple(sorted []time.Duration) string {
	return fmt.Sprintf("%s, %s", pair(sorted), short(percentile(sorted, 1)))
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
