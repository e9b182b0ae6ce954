package delivery

import (
	"slices"

	"pgregory.net/rapid"
)

// checkInvariants states what holds between the counters of slots after each change.
func (s *slots) checkInvariants(t *rapid.T) {
	var within, over, inFlight, waiting int
	for l := range s.all() {
		switch {
		case s.lane(l.ref) != l:
			t.Fatalf("the lane of %v is kept as another's", l.ref)
		case l.inFlight < 0 || l.claiming < 0 || l.window < 1:
			t.Fatalf("a lane has a negative count: %+v", *l)
		case l.inFlight+len(l.waiting) > l.held:
			t.Fatalf("%d in flight and %d waiting have only %d places", l.inFlight, len(l.waiting), l.held)
		case l.inFlight > s.most(l):
			t.Fatalf("a webhook has %d in flight, more than %d", l.inFlight, s.most(l))
		case l.early != earlyOf(l):
			t.Fatalf("a lane counts %d deliveries that wait for their start, not %d", l.early, earlyOf(l))
		case l.within != max(l.inFlight, min(l.held-l.early, s.limit(l))):
			t.Fatalf("a lane counts %d places within its limit of %d: %+v", l.within, s.limit(l), *l)
		case l.within+l.over != l.held:
			t.Fatalf("%d places within the limit and %d over it are not %d", l.within, l.over, l.held)
		}
		within += l.within
		over += l.over
		inFlight += l.inFlight
		waiting += len(l.waiting)
	}
	backlogs := 0
	for i := range s.partitions {
		if s.partitions[i].slowBacklog {
			backlogs++
		}
	}
	switch {
	case s.slowBacklog != backlogs:
		t.Fatalf("it counts %d partitions with a backlog of the slow, not %d", s.slowBacklog, backlogs)
	case s.within != within || s.over != over:
		t.Fatalf("it counts %d places in slots and %d in queues, not %d and %d", s.within, s.over, within, over)
	case s.inFlight != inFlight || s.inFlight > s.total:
		t.Fatalf("it counts %d of %d slots in use, not %d", s.inFlight, s.total, inFlight)
	case s.slow < 0 || s.slow > within+over:
		t.Fatalf("it counts %d slow places, of %d", s.slow, within+over)
	case s.bytes < 0 || s.bytes > 0 && waiting == 0 && within+over == inFlight:
		t.Fatalf("it counts %d waiting bytes, but nothing waits", s.bytes)
	case s.claiming.slots < 0 || s.claiming.ahead < 0:
		t.Fatalf("it counts negative promises: %+v", s.claiming)
	}
	// The list of sends that may turn slow is linked in both directions, and in order.
	var last *sending
	for w := s.oldest; w != nil; w = w.newer {
		if w.slow || s.lane(w.lane.ref) != w.lane || w.older != last || last != nil && w.began.Before(last.began) {
			t.Fatalf("the list of sends that are not slow is broken at %+v", w)
		}
		last = w
	}
	if s.newest != last {
		t.Fatal("the list of sends that are not slow does not end with the newest")
	}
}

// earlyOf is how many deliveries wait in the queue of a lane for their start.
func earlyOf(l *lane) (n int) {
	for _, w := range l.waiting {
		if w.early {
			n++
		}
	}
	return n
}

// ripen has the start of a delivery come.
func (m *slotsModel) ripen(t *rapid.T) {
	early := slices.DeleteFunc(slices.Clone(m.waiting), func(w *sending) bool { return !w.early })
	if w, ok := pick(t, &early); ok {
		m.slots.ripen(w)
	}
}
