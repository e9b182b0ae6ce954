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
	// When a good part of the slots is in use, a window is too large if its requests
	// take crowded times as long as the quickest lately: they wait for each other, here
	// or at the endpoint. The quickest is forgotten after paceTime.
	crowded  = 8
	paceTime = 10 * time.Second
	// aheadTime bounds what is leased ahead of a webhook's slots: as much as it is
	// sent in that time, going by how long its requests take. It is far less than
	// what a lease has to spare.
	aheadTime = 200 * time.Millisecond
	// aheadPerSlot bounds the same for all webhooks together, by the slots there
	// are in all, and maxAheadBytes by the payloads.
	aheadPerSlot  = 4
	maxAheadBytes = 32 << 20
)

// slots counts what this process has leased against the configured limits. A
// delivery has a place from before it is leased: a slot, which is one request in
// flight, or one in the queue of a webhook that is quick to answer, so that its
// slots never wait for the store. It is the dispatcher's, which guards it with its
// lock.
type slots struct {
	total      int // slots in all
	perWebhook int // the same for each webhook

	within   int                        // places that are slots, or will be as soon as their work is there
	over     int                        // places in queues
	inFlight int                        // slots in use
	slow     int                        // places of slow webhooks
	bytes    int                        // payload of what is reserved or waits
	claiming struct{ slots, ahead int } // promised to a Claim that has not answered yet
	slowTurn bool                       // the last free slot was promised to the slow
	lanes    map[WebhookRef]*lane

	// oldest and newest are the ends of the list of sends that are not slow, in
	// the order in which they began.
	oldest, newest *sending
}

// lane is a webhook with places taken. A lane that empties is forgotten.
type lane struct {
	ref      WebhookRef
	held     int // places: reserved, waiting and in flight
	inFlight int
	claiming int
	window   int        // slots at most; grows up to perWebhook
	pace     pace       // of its requests
	slow     bool       // one slot, until a success
	waiting  []*sending // for a slot, the first first
	// backlog: deliveries may wait in the store for which there was no room.
	backlog bool

	within, over int // what it counts for in slots
}

// sending is a leased delivery on its way through this process.
type sending struct {
	Job
	until        time.Time // the end of the lease, by this machine's monotonic clock
	lane         *lane
	began        time.Time // of the request, zero while it waits
	slow         bool
	older, newer *sending
}

func newSlots(total, perWebhook int) *slots {
	return &slots{total: total, perWebhook: perWebhook, lanes: make(map[WebhookRef]*lane)}
}

// limitTo changes the limits.
func (s *slots) limitTo(total, perWebhook int) {
	s.total, s.perWebhook = total, perWebhook
	for _, l := range s.lanes {
		s.recount(l)
	}
}

// free is how many slots nothing has been promised.
func (s *slots) free() int { return s.total - s.within - s.claiming.slots }

// slowFree is how many of them the slow may have, who share half of the slots.
func (s *slots) slowFree() int { return max(0, min(s.free(), s.total/2-s.slow)) }

// freeAhead is how many more deliveries may wait in queues: none while all slots
// are taken, lest those who have them keep them from the others.
func (s *slots) freeAhead() int {
	if s.free() <= 0 || s.bytes >= maxAheadBytes {
		return 0
	}
	return max(0, aheadPerSlot*s.total-s.over-s.claiming.ahead)
}

// limit is how many slots the lane may have.
func (s *slots) limit(l *lane) int {
	if l.slow {
		return 1
	}
	return min(l.window, s.perWebhook)
}

// ahead is how long the lane's queue may be.
func (s *slots) ahead(l *lane) int {
	if l.slow || l.pace.took <= 0 {
		return 0
	}
	return int(min(int64(s.limit(l))*int64(aheadTime)/int64(l.pace.took), int64(aheadPerSlot*s.total)))
}

// room is how many more places the lane may have, and how many of them are slots.
func (s *slots) room(l *lane) (places, slots int) {
	slots = s.limit(l) - l.held - l.claiming
	queue := min(s.ahead(l)+min(0, slots), s.freeAhead())
	slots = max(0, slots)
	return slots + max(0, queue), slots
}

// recount brings up to date what the lane counts for, after any change of it.
func (s *slots) recount(l *lane) {
	within := max(l.inFlight, min(l.held, s.limit(l)))
	s.within += within - l.within
	s.over += l.held - within - l.over
	l.within, l.over = within, l.held-within
}

// reserve takes a place for a fresh delivery. When it returns false, the lane
// remembers that a delivery waits in the store.
func (s *slots) reserve(ref WebhookRef, bytes int) bool {
	l := s.lanes[ref]
	if l == nil {
		if s.free() <= 0 {
			return false
		}
		l = s.open(ref)
	}
	if places, slots := s.room(l); places == 0 || slots > 0 && s.free() <= 0 {
		l.backlog = true
		return false
	}
	s.hold(l, bytes)
	return true
}

func (s *slots) hold(l *lane, bytes int) {
	l.held++
	s.bytes += bytes
	s.recount(l)
}

func (s *slots) open(ref WebhookRef) *lane {
	l := &lane{ref: ref, window: firstWindow}
	s.lanes[ref] = l
	return l
}

// admit takes a place for a claimed delivery, false if its webhook has had its
// places taken since the claim.
func (s *slots) admit(ref WebhookRef, slow bool, bytes int) bool {
	l := s.lanes[ref]
	if l == nil {
		l = s.open(ref)
	}
	if places, _ := s.room(l); places == 0 && l.held >= s.perWebhook || s.free() <= 0 {
		l.backlog = true
		s.closeIfIdle(l)
		return false
	}
	if slow {
		// Counted now, not when it begins: the next claim may come first.
		l.slow = true
		s.slow++
	}
	s.hold(l, bytes)
	return true
}

// cancel gives back a place for which there is no delivery, or which has not begun.
func (s *slots) cancel(l *lane, slow bool, bytes int) {
	if slow {
		s.slow--
	}
	l.held--
	s.bytes -= bytes
	s.recount(l)
	s.closeIfIdle(l)
}

// add puts a delivery that has a place into its lane's queue.
func (s *slots) add(w *sending) {
	w.lane = s.lanes[w.Webhook.Ref()]
	w.slow = w.Slow
	w.lane.waiting = append(w.lane.waiting, w)
}

// begin takes what waits first out of a lane's queue, if there is a slot for it, and
// starts the clock of its request.
func (s *slots) begin(l *lane, now time.Time) *sending {
	if len(l.waiting) == 0 || l.inFlight >= s.limit(l) || s.inFlight >= s.total {
		return nil
	}
	w := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	s.bytes -= len(w.Event.Payload)
	s.inFlight++
	l.inFlight++
	s.recount(l)
	w.began = now
	if !w.slow {
		s.link(w)
	}
	return w
}

// end gives back the slot of a request that ended.
func (s *slots) end(w *sending, success bool, now time.Time) {
	l := w.lane
	l.pace.note(now, max(1, now.Sub(w.began)))
	if success {
		l.slow = false
		// Only a window that is being used grows, or has to become smaller.
		switch used := l.inFlight > l.window/2; {
		case used && s.isCrowded(l):
			l.window = max(min(l.window, firstWindow), l.window-1)
		case used && s.free() > 0:
			l.window = min(l.window+1, s.perWebhook)
		}
	}
	s.leave(w)
}

// pace is how long the requests of a lane take.
type pace struct {
	took time.Duration // lately, on average; 0 before the first has ended
	// The shortest since some time, and before that.
	quickest, before time.Duration
	since            time.Time
}

func (p *pace) note(now time.Time, took time.Duration) {
	if p.took == 0 {
		p.took, p.quickest, p.before, p.since = took, took, took, now
		return
	}
	p.took += (took - p.took) / 8
	if now.Sub(p.since) > paceTime {
		p.before, p.quickest, p.since = p.quickest, took, now
	}
	p.quickest = min(p.quickest, took)
}

// isCrowded says whether fewer requests of the lane at a time would do as much.
func (s *slots) isCrowded(l *lane) bool {
	return s.inFlight > s.total/8 && l.pace.took > crowded*min(l.pace.quickest, l.pace.before)
}

// leave gives back the slot of a request that was not made.
func (s *slots) leave(w *sending) {
	l := w.lane
	if w.slow {
		s.slow--
	} else {
		s.unlink(w)
	}
	s.inFlight--
	l.inFlight--
	l.held--
	s.recount(l)
	s.closeIfIdle(l)
}

// giveUp empties the queue of a lane.
func (s *slots) giveUp(l *lane) []*sending {
	waiting := l.waiting
	l.waiting = nil
	for _, w := range waiting {
		s.cancel(l, w.slow, len(w.Event.Payload))
	}
	return waiting
}

func (s *slots) closeIfIdle(l *lane) {
	if l.held == 0 && l.claiming == 0 {
		delete(s.lanes, l.ref)
	}
}

// age marks the requests that began more than slowAfter ago as slow, with their
// webhooks. What waited for these is to be given back. The next one may become slow
// at the time returned; it is zero if none is in flight.
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
		waited = append(waited, s.giveUp(w.lane)...)
	}
	return waited, time.Time{}
}

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

// promised is what has been set aside for a claim.
type promised struct {
	Room
	slots, ahead int
}

// promise sets places aside for a claim: half of what is free, since what is emitted
// meanwhile needs some, too.
func (s *slots) promise() promised {
	free := half(s.free())
	p := promised{slots: free, Room: Room{
		PerWebhook: min(firstWindow, s.perWebhook),
		Webhooks:   make(map[WebhookRef]int, len(s.lanes)),
	}}
	// A few of them are kept for the slow, who may have none due.
	p.Slow = min(s.slowFree(), max(1, free/4))
	if free == 1 { // they take turns
		s.slowTurn = !s.slowTurn
		if !s.slowTurn {
			p.Slow = 0
		}
	}
	ahead := half(s.freeAhead())
	for ref, l := range s.lanes {
		places, slots := s.room(l)
		n := half(places)
		queued := min(max(0, n-slots), ahead)
		n = min(n, slots+queued)
		ahead -= queued
		p.ahead += queued
		p.Webhooks[ref] = n
		if n == 0 {
			l.backlog = true
		}
	}
	for ref, n := range p.Webhooks { // only now: room goes by it
		s.lanes[ref].claiming += n
	}
	p.Fast = free - p.Slow + p.ahead
	s.claiming.slots += p.slots
	s.claiming.ahead += p.ahead
	return p
}

func half(n int) int { return (n + 1) / 2 }

// settle takes a promise back when its claim has been answered.
func (s *slots) settle(p promised) {
	s.claiming.slots -= p.slots
	s.claiming.ahead -= p.ahead
	for ref, n := range p.Webhooks {
		// Only a lane that was promised nothing can have been closed meanwhile.
		if l := s.lanes[ref]; l != nil {
			l.claiming -= n
		}
	}
}
