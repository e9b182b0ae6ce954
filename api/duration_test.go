package api

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "5s": 5 * time.Second, "2m": 2 * time.Minute, "1h30m": 90 * time.Minute, "14d": 14 * day,
		"1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour, "1h1d": 25 * time.Hour, "-1d": -day, "1.5s": 1500 * time.Millisecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "d", "1", "1 d", "1dd", "..d", "1y", "5sec", "999999999d", "1e3s", "１s", string(make([]byte, 1000))} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
	for want, d := range map[string]time.Duration{
		"0s": 0, "10s": 10 * time.Second, "10m": 10 * time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute, "1h0m5s": time.Hour + 5*time.Second,
		"14d": 14 * day, "36h": 36 * time.Hour, "1.5s": 1500 * time.Millisecond, "100h": 100 * time.Hour, "1m10s": 70 * time.Second,
	} {
		if got := durationText(d); got != want {
			t.Errorf("%v is written as %s, want %s", d, got, want)
		}
	}
}

// TestDurationText reads what was written.
func TestDurationText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]time.Duration{1, time.Millisecond, time.Second, time.Minute, time.Hour, day}).Draw(t, "unit")
		d := unit * time.Duration(rapid.Int64Range(-10_000, 10_000).Draw(t, "units"))
		if got, err := parseDuration(durationText(d)); err != nil || got != d {
			t.Fatalf("%v is written as %s, and read as %v, %v", d, durationText(d), got, err)
		}
	})
}
