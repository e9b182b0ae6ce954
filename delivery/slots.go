package delivery

import (
	"time"
)

const (
	// firstWindow is how many requests a webhook that has not answered yet may
	// have in flight. Its window grows with each success, up to the configured
	// cap: sixteen endpoints that begin by hanging take few slots with them.
	firstWindow = 4
	// slowAfter is how long a request may be unanswered before it, and its
	// webhook, count as slow.
	slowAfter = time.Second
)

// slots counts the requests in flight against the configured limits. A slot is
// reserved before the work for it exists, so that work never waits in a queue of
// this process. It is the dispatcher's, which guards it with its lock.
type slots struct {
	total      int // requests in flight at most, in all
	perWebhook int // the same for each webhook

	inFlight int  // reserved or sending, slow ones included
	slow     int  // of these, the slow ones
	claiming int  // promised to a Claim that has not answered yet
	slowTurn bool // the last free slot was promised to the slow
	lanes    map[WebhookRef]*lane

	// oldest and newest are the ends of the list of sends that are not slow, in
	// the order in which they began.
	oldest, newest *sending
}

// lane is a webhook with requests in flight. A lane that empties is forgotten.
type lane struct {
	inFlight int
	claiming int
	window   int  // requests in flight at most; grows up to perWebhook
	slow     bool // one at a time, until a success
	// backlog: deliveries may wait in the store for which there was no room.
	backlog bool
}

// sending is one request in flight.
type sending struct {
	ref          WebhookRef
	lane         *lane
	began        time.Time
	slow         bool
	older, newer *sending
}

func newSlots(total, perWebhook int) *slots {
	return &slots{total: total, perWebhook: perWebhook, lanes: make(map[WebhookRef]*lane)}
}

// free is how many requests could begin now.
func (s *slots) free() int { return s.total - s.inFlight - s.claiming }

// slowFree is how many of them may be slow: the slow share half of the slots.
func (s *slots) slowFree() int { return max(0, min(s.free(), s.total/2-s.slow)) }

// room is how many more requests the lane may have.
func (s *slots) room(l *lane) int {
	limit := min(l.window, s.perWebhook)
	if l.slow {
		limit = 1
	}
	return max(0, limit-l.inFlight-l.claiming)
}

// reserve takes a slot for a fresh delivery. When it returns false, the lane
// remembers that a delivery waits in the store.
func (s *slots) reserve(ref WebhookRef) bool {
	l := s.lanes[ref]
	if s.free() <= 0 {
		if l != nil {
			l.backlog = true
		}
		return false
	}
	if l == nil {
		l = s.open(ref)
	}
	if s.room(l) == 0 {
		l.backlog = true
		return false
	}
	s.inFlight++
	l.inFlight++
	return true
}

func (s *slots) open(ref WebhookRef) *lane {
	l := &lane{window: firstWindow}
	s.lanes[ref] = l
	return l
}

// admit takes a slot for a claimed delivery, false if its webhook has had its
// slots taken since the claim.
func (s *slots) admit(ref WebhookRef, slow bool) bool {
	l := s.lanes[ref]
	if l == nil {
		l = s.open(ref)
	}
	if l.inFlight >= s.perWebhook || s.free() <= 0 {
		l.backlog = true
		s.closeIfIdle(ref, l)
		return false
	}
	s.inFlight++
	l.inFlight++
	if slow {
		// Counted now, not when it begins: the next claim may come first.
		l.slow = true
		s.slow++
	}
	return true
}

// cancel gives back a slot for which no request was sent.
func (s *slots) cancel(ref WebhookRef, slow bool) *lane {
	l := s.lanes[ref]
	if slow {
		s.slow--
	}
	s.inFlight--
	l.inFlight--
	s.closeIfIdle(ref, l)
	return l
}

// begin starts the clock of a request in a slot taken before.
func (s *slots) begin(ref WebhookRef, slow bool, now time.Time) *sending {
	r := &sending{ref: ref, lane: s.lanes[ref], began: now, slow: slow}
	if slow {
		return r
	}
	r.older = s.newest
	if s.newest != nil {
		s.newest.newer = r
	} else {
		s.oldest = r
	}
	s.newest = r
	return r
}

// end gives back the slot of a request that ended.
func (s *slots) end(r *sending, success bool) {
	l := r.lane
	if r.slow {
		s.slow--
	} else {
		s.unlink(r)
	}
	if success {
		l.slow = false
		// Only a window that is being used grows.
		if l.inFlight > l.window/2 {
			l.window = min(l.window+1, s.perWebhook)
		}
	}
	s.inFlight--
	l.inFlight--
	s.closeIfIdle(r.ref, l)
}

func (s *slots) closeIfIdle(ref WebhookRef, l *lane) {
	if l.inFlight == 0 && l.claiming == 0 {
		delete(s.lanes, ref)
	}
}

// age marks the requests that began more than slowAfter ago as slow, with their
// webhooks, and returns when the next one may become so; zero if none is in
// flight.
func (s *slots) age(now time.Time) (next time.Time) {
	for r := s.oldest; r != nil; r = s.oldest {
		if due := r.began.Add(slowAfter); due.After(now) {
			return due
		}
		s.unlink(r)
		r.slow = true
		r.lane.slow = true
		s.slow++
	}
	return time.Time{}
}

func (s *slots) unlink(r *sending) {
	if r.older != nil {
		r.older.newer = r.newer
	} else {
		s.oldest = r.newer
	}
	if r.newer != nil {
		r.newer.older = r.older
	} else {
		s.newest = r.older
	}
	r.older, r.newer = nil, nil
}

// promise sets slots aside for a claim and describes them.
func (s *slots) promise() Room {
	free := s.free()
	room := Room{
		PerWebhook: min(firstWindow, s.perWebhook),
		Webhooks:   make(map[WebhookRef]int, len(s.lanes)),
	}
	// A few of the free slots are kept for the slow, who may have none due.
	room.Slow = min(s.slowFree(), max(1, free/4))
	if free == 1 { // they take turns
		s.slowTurn = !s.slowTurn
		if !s.slowTurn {
			room.Slow = 0
		}
	}
	room.Fast = free - room.Slow
	for ref, l := range s.lanes {
		n := s.room(l)
		room.Webhooks[ref] = n
		l.claiming += n
		if n == 0 {
			l.backlog = true
		}
	}
	s.claiming += room.Fast + room.Slow
	return room
}

// settle takes a promise back when its claim has been answered.
func (s *slots) settle(room Room) {
	s.claiming -= room.Fast + room.Slow
	for ref, n := range room.Webhooks {
		// Only a lane that was promised nothing can have been closed meanwhile.
		if l := s.lanes[ref]; l != nil {
			l.claiming -= n
			s.closeIfIdle(ref, l)
		}
	}
}
