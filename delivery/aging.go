package delivery

import "time"

// age marks requests that began more than slowAfter ago, and their webhooks, as slow.
// It returns what waited for a slot of these webhooks, to be given back, and when the
// next request may turn slow, which is zero if none is in flight.
func (s *slots) age(now time.Time) (waited []*sending, next time.Time) {
	for w := s.oldest; w != nil; w = s.oldest {
		if due := w.began.Add(slowAfter); due.After(now) {
			return waited, due
		}
		s.unlink(w)
		w.slow = true
		s.slow++
		w.lane.slow = true
		w.lane.backlog = w.lane.backlog || len(w.lane.waiting) > 0
		s.recount(w.lane)
		waited = append(waited, s.empty(w.lane)...)
	}
	return waited, time.Time{}
}

// link puts a send at the newer end of the list of those that are not slow.
func (s *slots) link(w *sending) {
	w.older = s.newest
	if s.newest != nil {
		s.newest.newer = w
	} else {
		s.oldest = w
	}
	s.newest = w
}

func (s *slots) unlink(w *sending) {
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		s.oldest = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		s.newest = w.older
	}
	w.older, w.newer = nil, nil
}
