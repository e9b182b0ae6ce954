package embedded

import (
	"cmp"
	"math"
	"slices"
)

// never is the due time of a delivery whose outcome is on its way to the disk.
const never = math.MaxInt64

// smallSchedule is how many deliveries a schedule has room for that is kept while it is
// empty: Go's maps of so many entries are as small as the smallest.
const smallSchedule = 8

// schedule has a webhook's pending deliveries, in order of their due times: it is a heap
// that knows the place of each. Those that are due at no time have none in the heap. A
// delivery takes some 60 bytes. Package heap would change the places of two deliveries for each
// step that one takes.
type schedule struct {
	heap   []entry
	places map[uint64]int32
}

// entry is a pending delivery. If it is held, due is the end of its lease. Due is 0 if the
// delivery had not been tried when this process started.
type entry struct {
	due   int64
	event uint64
}

// dueNever is the place of a delivery that is due at no time.
const dueNever = -1

func (s *schedule) Len() int { return len(s.places) }

func (e entry) isBefore(other entry) bool {
	return e.due < other.due || e.due == other.due && e.event < other.event
}

func (s *schedule) put(i int, e entry) {
	s.heap[i] = e
	s.places[e.event] = int32(i)
}

// fix finds the place for an entry, from a place that is free.
func (s *schedule) fix(i int, e entry) {
	for i > 0 {
		parent := (i - 1) / 2
		if !e.isBefore(s.heap[parent]) {
			break
		}
		s.put(i, s.heap[parent])
		i = parent
	}
	for {
		child := 2*i + 1
		if child+1 < len(s.heap) && s.heap[child+1].isBefore(s.heap[child]) {
			child++
		}
		if child >= len(s.heap) || !s.heap[child].isBefore(e) {
			break
		}
		s.put(i, s.heap[child])
		i = child
	}
	s.put(i, e)
}

func (s *schedule) push(e entry) {
	s.heap = append(s.heap, e)
	s.fix(len(s.heap)-1, e)
}

// free takes the entry at a place off the heap. The caller must see to the delivery's place.
func (s *schedule) free(i int) entry {
	e, last := s.heap[i], s.heap[len(s.heap)-1]
	s.heap = s.heap[:len(s.heap)-1]
	if i < len(s.heap) {
		s.fix(i, last)
	}
	return e
}

// index makes a schedule of the entries in its heap, which may be in any order.
func (s *schedule) index() {
	if len(s.heap) == 0 {
		return
	}
	slices.SortFunc(s.heap, func(a, b entry) int { // what is sorted is a heap
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.event, b.event))
	})
	s.places = make(map[uint64]int32, len(s.heap))
	for i, e := range s.heap {
		s.places[e.event] = int32(i)
	}
}

// set adds a delivery, or changes its due time.
func (s *schedule) set(event uint64, due int64) {
	if s.places == nil {
		s.places = make(map[uint64]int32)
	}
	i, ok := s.places[event]
	inHeap := ok && i != dueNever
	switch {
	case due == never:
		if inHeap {
			s.free(int(i))
		}
		s.places[event] = dueNever
	case inHeap:
		s.fix(int(i), entry{due, event})
	default:
		s.push(entry{due, event})
	}
}

func (s *schedule) remove(event uint64) {
	if i, ok := s.places[event]; ok && i != dueNever {
		s.free(int(i))
	}
	delete(s.places, event)
	if len(s.places) == 0 && cap(s.heap) > smallSchedule {
		s.heap, s.places = nil, nil // maps do not shrink
	}
}

// due is when a delivery is due; ok is false if it is not pending.
func (s *schedule) due(event uint64) (due int64, ok bool) {
	i, ok := s.places[event]
	switch {
	case !ok:
		return 0, false
	case i == dueNever:
		return never, true
	default:
		return s.heap[i].due, true
	}
}

// first is when the first delivery is due.
func (s *schedule) first() int64 {
	if len(s.heap) == 0 {
		return never
	}
	return s.heap[0].due
}

// take leases up to n deliveries that are due, and returns their entries from before.
func (s *schedule) take(n int, now, leaseEnd int64) []entry {
	var taken []entry
	for len(taken) < n && s.first() <= now {
		taken = append(taken, s.free(0))
	}
	// Only now, since a lease may have ended already, and they would be taken again.
	for _, e := range taken {
		s.push(entry{leaseEnd, e.event})
	}
	return taken
}
