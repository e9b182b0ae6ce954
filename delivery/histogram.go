package delivery

import (
	"math/bits"
	"time"
)

// Durations are counted in buckets whose bounds are at most 1.25 times apart: there are
// four of equal width between each power of two microseconds and the next. Shorter
// durations count in bucket 0, longer ones in the last bucket.
const (
	firstPower = 7  // 128 µs
	lastPower  = 30 // 18 minutes, longer than any timeout
	perPower   = 4
	// DurationBuckets is how many buckets there are.
	DurationBuckets = 1 + (lastPower-firstPower)*perPower
)

// DurationBucket is the number of the bucket that a duration is counted in, from 0.
func DurationBucket(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	power := bits.Len64(us) - 1
	switch {
	case power < firstPower:
		return 0
	case power >= lastPower:
		return DurationBuckets - 1
	}
	quarter := us>>(power-2) - perPower // the two bits after the first
	return 1 + (power-firstPower)*perPower + int(quarter)
}

// bucketMiddle is the duration that represents a bucket. It is off by an eighth at
// most, except in the first bucket and beyond the last.
func bucketMiddle(bucket int) time.Duration {
	if bucket == 0 {
		return 1 << (firstPower - 1) * time.Microsecond
	}
	power, quarter := (bucket-1)/perPower+firstPower, (bucket-1)%perPower
	return time.Duration(2*(perPower+quarter)+1) << (power - 3) * time.Microsecond
}

// Tally is how many requests ended in success and in failure, and how long they took.
type Tally struct {
	Successes, Failures int64
	durations           [DurationBuckets]int64
}

// add counts n requests more.
func (t *Tally) add(status RequestStatus, bucket int, n int64) {
	if status == RequestSuccess {
		t.Successes += n
	} else {
		t.Failures += n
	}
	t.durations[min(max(0, bucket), DurationBuckets-1)] += n
}

// Percentile is the duration that the given percentage of requests did not exceed,
// accurate to an eighth from 128 µs to 18 minutes. It is false if there were none.
func (t *Tally) Percentile(percent int64) (time.Duration, bool) {
	rank := (percent*(t.Successes+t.Failures) + 99) / 100
	for bucket, n := range t.durations {
		if rank -= n; rank <= 0 && n > 0 {
			return bucketMiddle(bucket), true
		}
	}
	return 0, false
}
