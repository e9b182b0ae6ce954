package delivery

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRetryPolicy(t *testing.T) {
	contract := DefaultSettings().Retry
	for _, tc := range []struct {
		name     string
		policy   RetryPolicy
		attempt  int
		again    bool
		min, max time.Duration
	}{
		{"the contract's first", contract, 1, true, 121 * time.Second, 180 * time.Second},
		{"the contract's second", contract, 2, true, 121 * time.Second, 180 * time.Second},
		{"the contract's last", contract, 3, false, 0, 0},
		{"beyond the last, after attempts were lowered", contract, 7, false, 0, 0},
		{"a single attempt", RetryPolicy{Attempts: 1, Delays: []time.Duration{time.Hour}}, 1, false, 0, 0},
		{"no jitter", RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Minute}}, 1, true, time.Minute, time.Minute},
		{"no delay", RetryPolicy{Attempts: 2, Delays: []time.Duration{0}}, 1, true, 0, 0},
		{"the first of two delays", RetryPolicy{Attempts: 9, Delays: []time.Duration{1, 2}}, 1, true, 1, 1},
		{"the second of two delays", RetryPolicy{Attempts: 9, Delays: []time.Duration{1, 2}}, 2, true, 2, 2},
		{"the last delay again", RetryPolicy{Attempts: 9, Delays: []time.Duration{1, 2}}, 8, true, 2, 2},
		{"more delays than attempts", RetryPolicy{Attempts: 2, Delays: []time.Duration{1, 2}}, 2, false, 0, 0},
		{"a constant jitter", RetryPolicy{Attempts: 2, Delays: []time.Duration{0}, JitterMin: time.Second, JitterMax: time.Second}, 1, true, time.Second, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for range 1000 {
				after, again := tc.policy.Next(tc.attempt)
				if again != tc.again || after < tc.min || after > tc.max {
					t.Fatalf("got %s, %t; want %s to %s, %t", after, again, tc.min, tc.max, tc.again)
				}
			}
		})
	}
}

func toDuration(n int64) time.Duration { return time.Duration(n) }

func TestRetryPolicyOfAnyValidSettings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		durations := rapid.Int64Range(0, int64(MaxRetryDelay))
		p := RetryPolicy{
			Attempts:  rapid.IntRange(1, MaxAttempts).Draw(t, "attempts"),
			Delays:    rapid.SliceOfN(rapid.Map(durations, toDuration), 1, MaxDelays).Draw(t, "delays"),
			JitterMin: time.Duration(durations.Draw(t, "jitter min")),
		}
		p.JitterMax = time.Duration(rapid.Int64Range(int64(p.JitterMin), int64(MaxRetryDelay)).Draw(t, "jitter max"))
		attempt := rapid.IntRange(1, MaxAttempts+1).Draw(t, "attempt")
		if err := p.validate(); err != nil {
			t.Fatal(err)
		}
		after, again := p.Next(attempt)
		delay := p.Delays[min(attempt, len(p.Delays))-1]
		switch {
		case again != (attempt < p.Attempts):
			t.Fatalf("attempt %d of %d: again is %t", attempt, p.Attempts, again)
		case again && (after < delay+p.JitterMin || after > delay+p.JitterMax):
			t.Fatalf("%s is not %s plus %s to %s", after, delay, p.JitterMin, p.JitterMax)
		}
	})
}

// Each value of the jitter is drawn equally often, both ends included.
func TestJitterIsUniform(t *testing.T) {
	p := RetryPolicy{Attempts: 2, Delays: []time.Duration{0}, JitterMin: 1, JitterMax: 4}
	counts := make(map[time.Duration]int)
	const draws = 40_000
	for range draws {
		after, _ := p.Next(1)
		counts[after]++
	}
	for after := time.Duration(1); after <= 4; after++ {
		// The standard deviation is 87: this is eleven of them.
		if n := counts[after]; n < draws/4-1000 || n > draws/4+1000 {
			t.Errorf("%d of %d draws are %d; all: %v", n, draws, after, counts)
		}
	}
}
