package embedded

import (
	"cmp"
	"container/heap"
	"math"
	"slices"
)

// never is the due time of a delivery whose outcome is on its way to the disk.
const never = math.MaxInt64

// smallSchedule is how many deliveries a schedule has room for that is kept while it is
// empty: Go's maps of so many entries are as small as the smallest.
const smallSchedule = 8

// schedule has a webhook's pending deliveries, in order of their due times: it is a heap
// that knows the place of each. A delivery takes some 60 bytes.
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

func (s *schedule) Len() int { return len(s.heap) }

func (s *schedule) Less(i, j int) bool {
	a, b := &s.heap[i], &s.heap[j]
	return a.due < b.due || a.due == b.due && a.event < b.event
}

func (s *schedule) Swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.places[s.heap[i].event], s.places[s.heap[j].event] = int32(i), int32(j)
}

// Push is for the heap package.
func (s *schedule) Push(x any) {
	e := x.(entry)
	s.places[e.event] = int32(len(s.heap))
	s.heap = append(s.heap, e)
}

// Pop is for the heap package.
func (s *schedule) Pop() any {
	last := s.heap[len(s.heap)-1]
	s.heap = s.heap[:len(s.heap)-1]
	delete(s.places, last.event)
	return last
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
	if i, ok := s.places[event]; ok {
		s.heap[i].due = due
		heap.Fix(s, int(i))
		return
	}
	if s.places == nil {
		s.places = make(map[uint64]int32)
	}
	heap.Push(s, entry{due, event})
}

func (s *schedule) remove(event uint64) {
	if i, ok := s.places[event]; ok {
		heap.Remove(s, int(i))
	}
	if len(s.heap) == 0 && cap(s.heap) > smallSchedule {
		s.heap, s.places = nil, nil // maps do not shrink
	}
}

// due is when a delivery is due; ok is false if it is not pending.
func (s *schedule) due(event uint64) (due int64, ok bool) {
	i, ok := s.places[event]
	if !ok {
		return 0, false
	}
	return s.heap[i].due, true
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
		taken = append(taken, heap.Pop(s).(entry))
	}
	// Only now, since a lease may have ended already, and they would be taken again.
	for _, e := range taken {
		heap.Push(s, entry{leaseEnd, e.event})
	}
	return taken
}
