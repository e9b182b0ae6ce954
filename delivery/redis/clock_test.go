package redis

import (
	"testing"
	"time"
)

// TestLearnSteps notices that the clock was set, and is not confused by replies that are
// slow or come late.
func TestLearnSteps(t *testing.T) {
	var c clock
	asked := time.Now()
	learn := func(asked time.Time, ahead time.Duration) time.Duration {
		t.Helper()
		return c.learn(asked, time.Now().Add(ahead).UnixMilli()).Round(time.Minute)
	}
	for _, answer := range []struct {
		name        string
		asked       time.Time
		ahead, step time.Duration
		now         time.Duration // how far the clock is ahead of this machine's afterwards
	}{
		{"the first", asked, 0, 0, 0},
		{"not worth a word", asked, 2 * time.Second, 0, 0},
		{"set back", asked, -2 * time.Hour, -2 * time.Hour, -2 * time.Hour},
		{"under way meanwhile", asked.Add(-time.Second), 0, 0, -2 * time.Hour},
		{"as before", asked, -2 * time.Hour, 0, -2 * time.Hour},
		{"set forward", asked, time.Hour, 3 * time.Hour, time.Hour},
		{"three hours late", asked.Add(-3 * time.Hour), 0, 0, time.Hour},
	} {
		if step := learn(answer.asked, answer.ahead); step != answer.step {
			t.Errorf("%s: a step of %s, want %s", answer.name, step, answer.step)
		}
		if now := time.Until(c.now()).Round(time.Minute); now != answer.now {
			t.Errorf("%s: the clock is %s ahead from then on, want %s", answer.name, now, answer.now)
		}
	}
}
