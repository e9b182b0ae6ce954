package delivery

import (
	"testing"
	"time"
)

// TestDurationBuckets goes through all durations from nothing to beyond the last
// bucket, each 1 % longer than the one before.
func TestDurationBuckets(t *testing.T) {
	t.Parallel()
	last, seen := 0, 1
	for us := 1.0; us < 3e9; us = us*1.01 + 1 {
		d := time.Duration(us) * time.Microsecond
		bucket := DurationBucket(d)
		switch {
		case bucket == last+1:
			seen++
		case bucket != last:
			t.Fatalf("%s is in bucket %d, but a shorter duration is in %d", d, bucket, last)
		}
		last = bucket
		off := float64(bucketMiddle(bucket)) / float64(d)
		if inside := bucket > 0 && bucket < DurationBuckets-1; inside && (off < 0.875 || off > 1.125) {
			t.Errorf("%s is in a bucket whose middle is %s", d, bucketMiddle(bucket))
		}
	}
	if seen != DurationBuckets {
		t.Errorf("there are %d buckets, want %d", seen, DurationBuckets)
	}
	for d, want := range map[time.Duration]int{
		-time.Second: 0, 0: 0, 127 * time.Microsecond: 0,
		128 * time.Microsecond: 1, 159 * time.Microsecond: 1, 160 * time.Microsecond: 2,
		255 * time.Microsecond: 4, 256 * time.Microsecond: 5,
		10 * time.Minute: DurationBuckets - 4, 1 << 62: DurationBuckets - 1,
	} {
		if got := DurationBucket(d); got != want {
			t.Errorf("%s is in bucket %d, want %d", d, got, want)
		}
	}
}

func TestPercentile(t *testing.T) {
	t.Parallel()
	var tally Tally
	if d, ok := tally.Percentile(50); ok {
		t.Errorf("without requests the 50th percentile is %s", d)
	}
	tally.add(RequestSuccess, DurationBucket(time.Second), 1)
	for _, percent := range []int64{1, 50, 99, 100} {
		if d, ok := tally.Percentile(percent); !ok || d != bucketMiddle(DurationBucket(time.Second)) {
			t.Errorf("of one request the %dth percentile is %s, %t", percent, d, ok)
		}
	}
	tally.add(RequestFailed, DurationBucket(15*time.Second), 2)
	tally.add(RequestSuccess, DurationBucket(10*time.Millisecond), 97)
	for percent, want := range map[int64]time.Duration{
		50: 10 * time.Millisecond, 97: 10 * time.Millisecond, 98: time.Second, 99: 15 * time.Second, 100: 15 * time.Second,
	} {
		if d, ok := tally.Percentile(percent); !ok || d != bucketMiddle(DurationBucket(want)) {
			t.Errorf("the %dth percentile is %s, %t, want about %s", percent, d, ok, want)
		}
	}
	if tally.Successes != 98 || tally.Failures != 2 {
		t.Errorf("got %d successes and %d failures", tally.Successes, tally.Failures)
	}
}
