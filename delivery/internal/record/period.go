package record

import (
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Requests are counted by hours and by slices of delivery.StatsSlice. Both are numbered from
// 1970; earlier times belong to the first.

// Hour is the number of the hour of a time.
func Hour(t time.Time) int64 { return period(t, time.Hour) }

// Slice is the number of the slice of a time.
func Slice(t time.Time) int64 { return period(t, delivery.StatsSlice) }

// HourTime is when an hour begins.
func HourTime(hour int64) time.Time { return periodTime(hour, time.Hour) }

// SliceTime is when a slice begins.
func SliceTime(slice int64) time.Time { return periodTime(slice, delivery.StatsSlice) }

func period(t time.Time, length time.Duration) int64 {
	return max(0, t.Unix()) / int64(length/time.Second)
}

func periodTime(n int64, length time.Duration) time.Time {
	return time.Unix(n*int64(length/time.Second), 0).UTC()
}
