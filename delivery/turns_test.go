package delivery

import (
	"testing"
	"time"
)

// With a single free slot the two kinds take turns. The claimer sleeps only after it has
// found both empty, until the first of them falls due.
func TestTurns(t *testing.T) {
	now := time.Unix(0, 0)
	job := []Job{{}}
	var turns turns
	if first, second := turns.take(), turns.take(); first == second {
		t.Error("the same kind had two turns in succession")
	}
	for i, step := range []struct {
		slots   int
		claimed Claimed
		want    time.Duration
	}{
		{1, Claimed{Jobs: job, Next: 5 * time.Second}, 0},               // the other kind may have some, too
		{1, Claimed{Next: 5 * time.Second}, 0},                          // so it is asked
		{1, Claimed{Next: 3 * time.Second}, 3 * time.Second},            // neither has any
		{1, Claimed{Next: 2 * time.Second}, 0},                          // a new round
		{1, Claimed{Next: 4 * time.Second}, 2 * time.Second},            // the other is due first
		{1, Claimed{Next: 2 * time.Second}, 0},                          //
		{2, Claimed{Next: 7 * time.Second}, 7 * time.Second},            // both were asked
		{2, Claimed{Jobs: job, Next: 4 * time.Second}, 4 * time.Second}, //
		{1, Claimed{Next: time.Second}, 0},                              // what was found before counts no more
		{1, Claimed{Jobs: job, Next: time.Second}, 0},                   //
		{1, Claimed{Next: 6 * time.Second}, 0},                          //
	} {
		if got := turns.claimAgain(step.slots, step.claimed, now).Sub(now); got != step.want {
			t.Errorf("step %d: the next claim is in %s, not %s", i, got, step.want)
		}
	}
}
