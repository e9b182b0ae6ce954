package embedded

import "github.com/google/uuid"

// recentSize is how many events are remembered at least: more than can be on their way at
// a time.
const recentSize = 1 << 13

// recent has the numbers of the events that this process has accepted and that were accepted
// or claimed lately. Outcomes name events by their ids, so that each would have to be looked
// up in the database.
type recent struct{ newer, older map[eventID]uint64 }

// eventID is the id of an event with the number of its tenant.
type eventID struct {
	tenant uint32
	id     uuid.UUID
}

// add remembers an event. It forgets the oldest when there are too many.
func (r *recent) add(e eventID, number uint64) {
	if len(r.newer) >= recentSize {
		r.newer, r.older = r.older, r.newer
		clear(r.newer)
	}
	if r.newer == nil {
		r.newer = make(map[eventID]uint64)
	}
	r.newer[e] = number
}

// number finds the number of an event, if it is remembered.
func (r *recent) number(e eventID) (number uint64, ok bool) {
	if number, ok = r.newer[e]; !ok {
		number, ok = r.older[e]
	}
	return number, ok
}
