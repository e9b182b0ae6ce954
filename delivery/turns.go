package delivery

import "time"

// turns are how webhooks that respond and slow ones share a single free slot: a claim
// asks for one kind alone, and the next claim for the other. Only when neither has
// anything due does the claimer sleep.
type turns struct {
	slow bool // the slow had the last turn
	// otherDue is when the kind falls due that had its turn before, found empty; zero
	// if the last claim found something, or had room for both.
	otherDue time.Time
}

// take gives the single slot to the kind whose turn it is.
func (t *turns) take() (slow bool) {
	t.slow = !t.slow
	return t.slow
}

// claimAgain says when to claim next, by the answer to a claim for so many slots.
func (t *turns) claimAgain(slots int, claimed Claimed, now time.Time) time.Time {
	due, otherDue := now.Add(claimed.Next), t.otherDue
	t.otherDue = time.Time{}
	switch {
	case slots > 1:
		return due
	case len(claimed.Jobs) > 0:
		return now
	case otherDue.IsZero():
		t.otherDue = due
		return now
	case otherDue.Before(due):
		return otherDue
	default:
		return due
	}
}
