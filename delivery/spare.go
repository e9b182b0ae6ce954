package delivery

import "time"

// replayShare is which part of the concurrency replays may have: a quarter, in all and of each
// webhook's. As much is left free for others when one begins.
const replayShare = 4

// spare counts the requests in flight in slots that nobody else needed.
type spare struct {
	all int
	of  map[WebhookRef]int
}

// startSpare takes a slot for a request that is outside the schedule, if nobody else needs it: the
// caller sends it then. It is in flight like any other, and ends by endSpare.
func (d *dispatcher) startSpare(w *sending) bool {
	d.lock()
	defer d.unlock()
	ref, own := w.Webhook.Ref(), w.Webhook.Concurrency
	c := d.claimers[d.slots.partitionOf(ref.Tenant)]
	if !d.mayStart(c) || c.isStuck() || c.overdue || !d.isSpare(ref, own) || !d.slots.reserve(ref, own, len(w.Event.Payload)) {
		return false
	}
	d.slots.enqueue(w)
	if d.startNext(w.lane, time.Now()) == nil {
		d.slots.empty(w.lane) // it alone waits there
		return false
	}
	if d.spare.of == nil {
		d.spare.of = make(map[WebhookRef]int)
	}
	d.spare.all++
	d.spare.of[ref]++
	return true
}

// isSpare says whether there is a slot that neither the schedule nor new events need. The caller has
// the lock.
func (d *dispatcher) isSpare(ref WebhookRef, own int) bool {
	s := d.slots
	most := s.perWebhook
	if own > 0 {
		most = own
	}
	if d.spare.all >= max(1, s.total/replayShare) || d.spare.of[ref] >= max(1, most/replayShare) || s.free() <= s.total/replayShare {
		return false
	}
	l := s.lane(ref)
	if l == nil {
		return true
	}
	s.setOwn(l, own)
	_, slots := s.room(l)
	return slots > 0 && len(l.waiting) == 0 && !l.backlog
}

// endSpare ends a request that startSpare began, as end does it for others.
func (d *dispatcher) endSpare(w *sending, end func() *sending) (next *sending) {
	ref := w.Webhook.Ref()
	d.lock()
	d.spare.all--
	if d.spare.of[ref]--; d.spare.of[ref] == 0 {
		delete(d.spare.of, ref)
	}
	d.unlock()
	return end()
}
