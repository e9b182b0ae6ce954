package delivery

import (
	"iter"
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
	// or at the endpoint.
	crowded = 8
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
// flight, or one in the queue of a webhook that is quick to respond, so that its
// slots never wait for the store. The dispatcher guards it with its lock.
//
// A place has one owner at a time, who passes it on or gives it back:
//
//	reserve  → the emission, until the store has accepted it: enqueue or cancel
//	promise  → the claim, until the store has answered: admit and enqueue, or takeBack
//	enqueue  → the queue of its lane: start or empty
//	start    → the goroutine that sends: finish or abandon. If the webhook turned
//	           out to be slow, it keeps the slot until the outcome is written.
//
// checkInvariants, in the tests, states what always holds between the counters.
type slots struct {
	total      int // slots in all
	perWebhook int // the same for each webhook that has no number of its own

	within   int                        // places that are slots, or will be as soon as their work is there
	over     int                        // places in queues
	inFlight int                        // slots in use
	slow     int                        // places of slow webhooks
	bytes    int                        // payload of what is reserved or waits
	claiming struct{ slots, ahead int } // promised to Claims that have not answered yet

	partitions  []lanes                 // of the store
	partitionOf func(tenant string) int // which one has a tenant
	slowBacklog int                     // how many partitions have one

	// oldest and newest are the ends of the list of sends that are not slow, in
	// the order in which they began.
	oldest, newest *sending
}

// lanes are those of one partition.
type lanes struct {
	of map[WebhookRef]*lane
	// slowBacklog: deliveries of slow webhooks may be due in the store, which the
	// last claim had no room for.
	slowBacklog bool
}

// lane is a webhook with places taken. A lane that empties is forgotten.
type lane struct {
	ref       WebhookRef
	partition int
	held      int // places: reserved, waiting and in flight
	inFlight  int
	claiming  int
	own       int        // the webhook's Concurrency: slots in place of perWebhook, 0 for none
	window    int        // slots at most; grows up to most
	pace      pace       // of its requests
	slow      bool       // one slot, until a success
	waiting   []*sending // for a slot, the first first
	early     int        // how many of these wait for their start, and need no slot yet
	// backlog: deliveries may be due in the store for which there was no room.
	backlog bool

	within, over int // what it counts for in slots
}

// sending is a leased delivery on its way through this process.
type sending struct {
	Job
	until        time.Time // the end of the lease, by this machine's monotonic clock
	startAt      time.Time // if the webhook has a RateLimit: see starts.go
	early        bool      // it waits for that in the queue of its lane
	lane         *lane
	began        time.Time // of the request, zero while it waits
	slow         bool
	older, newer *sending
}

func newSlots(total, perWebhook int) *slots {
	s := &slots{total: total, perWebhook: perWebhook}
	s.setPartitions(1, func(string) int { return 0 })
	return s
}

// setPartitions divides the lanes, of which there are none yet, among partitions.
func (s *slots) setPartitions(n int, of func(tenant string) int) {
	s.partitions, s.partitionOf = make([]lanes, n), of
	for i := range s.partitions {
		s.partitions[i].of = make(map[WebhookRef]*lane)
	}
}

// lane is that of a webhook, nil if it has no places taken.
func (s *slots) lane(ref WebhookRef) *lane {
	return s.partitions[s.partitionOf(ref.Tenant)].of[ref]
}

// all are the lanes of all partitions.
func (s *slots) all() iter.Seq[*lane] {
	return func(yield func(*lane) bool) {
		for i := range s.partitions {
			for _, l := range s.partitions[i].of {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// setLimits changes the limits.
func (s *slots) setLimits(total, perWebhook int) {
	s.total, s.perWebhook = total, perWebhook
	for l := range s.all() {
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

// most is how many slots the lane may ever have.
func (s *slots) most(l *lane) int {
	if l.own > 0 {
		return l.own
	}
	return s.perWebhook
}

// setOwn notes the Concurrency of the lane's webhook as it is now.
func (s *slots) setOwn(l *lane, own int) {
	if l.own != own {
		l.own = own
		s.recount(l)
	}
}

// limit is how many slots the lane may have.
func (s *slots) limit(l *lane) int {
	if l.slow {
		return 1
	}
	return min(l.window, s.most(l))
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

// hasRoomAgain says whether there is room, worth a claim, for deliveries of the lane that
// were left in the store for want of it. It says so once.
func (s *slots) hasRoomAgain(l *lane) bool {
	// While a claim runs, what the lane was promised may come back unused.
	if !l.backlog || l.claiming > 0 || l.held > 0 && !s.isRoomy(l) {
		return false
	}
	l.backlog = false
	return true
}

// slowHaveRoomAgain names the partitions in which deliveries of slow webhooks were left for
// want of room, if there is some again. It names each once.
func (s *slots) slowHaveRoomAgain() (partitions []int) {
	if s.slowBacklog == 0 || s.slowFree() == 0 {
		return nil
	}
	for i := range s.partitions {
		if s.partitions[i].slowBacklog {
			s.setSlowBacklog(i, false)
			partitions = append(partitions, i)
		}
	}
	return partitions
}

func (s *slots) setSlowBacklog(partition int, has bool) {
	p := &s.partitions[partition]
	switch {
	case has && !p.slowBacklog:
		s.slowBacklog++
	case !has && p.slowBacklog:
		s.slowBacklog--
	}
	p.slowBacklog = has
}

// isRoomy says whether a lane has so much room that it is worth a claim: a few places
// at a time would make many small ones. What waits in its queue lasts meanwhile.
func (s *slots) isRoomy(l *lane) bool {
	places, _ := s.room(l)
	return places >= max(1, s.limit(l)/4, s.ahead(l)/2)
}

// recount brings up to date what the lane counts for, after any change of it.
func (s *slots) recount(l *lane) {
	within := max(l.inFlight, min(l.held-l.early, s.limit(l)))
	s.within += within - l.within
	s.over += l.held - within - l.over
	l.within, l.over = within, l.held-within
}

// reserve takes a place for a fresh delivery to a webhook with a Concurrency of its own, or 0.
// When it returns false, the lane remembers that a delivery waits in the store.
func (s *slots) reserve(ref WebhookRef, own, bytes int) bool {
	l := s.lane(ref)
	if l == nil {
		if s.free() <= 0 {
			return false
		}
		l = s.open(ref)
	}
	s.setOwn(l, own)
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
	l := &lane{ref: ref, partition: s.partitionOf(ref.Tenant), window: firstWindow}
	s.partitions[l.partition].of[ref] = l
	return l
}

// admit takes a place for a claimed delivery, false if its webhook has had its
// places taken since the claim.
func (s *slots) admit(ref WebhookRef, own int, slow bool, bytes int) bool {
	l := s.lane(ref)
	if l == nil {
		l = s.open(ref)
	}
	s.setOwn(l, own)
	if places, _ := s.room(l); places == 0 && l.held >= s.most(l) || s.free() <= 0 {
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

// enqueue puts a delivery that has a place into its lane's queue.
func (s *slots) enqueue(w *sending) {
	w.lane = s.lane(w.Webhook.Ref())
	w.slow = w.Slow
	w.lane.waiting = append(w.lane.waiting, w)
	if w.early {
		w.lane.early++
		s.recount(w.lane)
	}
}

// ripen says that the start of a delivery has come.
func (s *slots) ripen(w *sending) {
	w.early = false
	w.lane.early--
	s.recount(w.lane)
}

// start takes what waits first out of a lane's queue, if there is a slot for it, and
// starts the clock of its request.
func (s *slots) start(l *lane, now time.Time) *sending {
	if len(l.waiting) == 0 || l.waiting[0].early || l.inFlight >= s.limit(l) || s.inFlight >= s.total {
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

// finish gives back the slot of a request that ended.
func (s *slots) finish(w *sending, success bool, now time.Time) {
	l := w.lane
	l.pace.note(now, max(1, now.Sub(w.began)))
	if success {
		l.slow = false
		// Only a window that is being used grows, or has to become smaller.
		switch used := l.inFlight > l.window/2; {
		case used && s.isCrowded(l):
			l.window = max(min(l.window, firstWindow), l.window-1)
		case used && s.free() > 0:
			l.window = min(l.window+1, s.most(l))
		}
	}
	s.abandon(w)
}

// isCrowded says whether fewer requests of the lane at a time would do as much.
func (s *slots) isCrowded(l *lane) bool {
	return s.inFlight > s.total/8 && l.pace.took > crowded*min(l.pace.quickest, l.pace.before)
}

// abandon gives back the slot of a request that was not made.
func (s *slots) abandon(w *sending) {
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

// empty takes everything out of a lane's queue, to be given back to the store.
func (s *slots) empty(l *lane) []*sending {
	waiting := l.waiting
	l.waiting = nil
	for _, w := range waiting {
		if w.early {
			s.ripen(w)
		}
		s.cancel(l, w.slow, len(w.Event.Payload))
	}
	return waiting
}

func (s *slots) closeIfIdle(l *lane) {
	if l.held == 0 && l.claiming == 0 {
		delete(s.partitions[l.partition].of, l.ref)
	}
}
