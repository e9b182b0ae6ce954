package embedded

import (
	"cmp"
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// orders has a webhook's pending deliveries that have order keys: a queue for each key, of which
// only the head is due at any time. Nil has none.
type orders struct {
	of     map[uint64]orderPlace // by the numbers of their events
	queues map[delivery.OrderKey][]queued
}

// orderPlace is the key of a delivery and its place among those with the same key.
type orderPlace struct {
	key   delivery.OrderKey
	place uint64
}

type queued struct{ place, event uint64 }

func (q queued) compare(other queued) int {
	return cmp.Or(cmp.Compare(q.place, other.place), cmp.Compare(q.event, other.event))
}

func newOrders() *orders {
	return &orders{of: make(map[uint64]orderPlace), queues: make(map[delivery.OrderKey][]queued)}
}

// add puts a delivery in its queue. If it is the head now, and there was another before, it returns
// that one.
func (o *orders) add(event uint64, at orderPlace) (before uint64, displaced bool) {
	o.remove(event)
	q, one := o.queues[at.key], queued{at.place, event}
	i, _ := slices.BinarySearchFunc(q, one, queued.compare)
	if displaced = i == 0 && len(q) > 0; displaced {
		before = q[0].event
	}
	o.queues[at.key] = slices.Insert(q, i, one)
	o.of[event] = at
	return before, displaced
}

// remove takes a delivery out of its queue. If it was the head, and there is another one now, it
// returns that one.
func (o *orders) remove(event uint64) (next uint64, ok bool) {
	if o == nil {
		return 0, false
	}
	at, has := o.of[event]
	if !has {
		return 0, false
	}
	delete(o.of, event)
	q := o.queues[at.key]
	i, _ := slices.BinarySearchFunc(q, queued{at.place, event}, queued.compare)
	switch {
	case len(q) == 1:
		delete(o.queues, at.key)
		return 0, false
	case i == 0: // as nearly always: what is before the rest goes when it grows
		o.queues[at.key] = q[1:]
		return q[1].event, true
	default:
		o.queues[at.key] = slices.Delete(q, i, i+1)
		return 0, false
	}
}

// waits reports whether a delivery is not the head of its queue.
func (o *orders) waits(event uint64) bool {
	if o == nil {
		return false
	}
	at, ok := o.of[event]
	return ok && o.queues[at.key][0].event != event
}

// waiting is how many deliveries wait.
func (o *orders) waiting() int {
	if o == nil {
		return 0
	}
	return len(o.of) - len(o.queues)
}

// appendWaiting appends entries of those that wait.
func (o *orders) appendWaiting(entries []entry) []entry {
	if o == nil {
		return entries
	}
	for _, q := range o.queues {
		for _, one := range q[1:] {
			entries = append(entries, entry{never, one.event})
		}
	}
	return entries
}

// enqueue puts a delivery with an order key in its queue, and schedules it if it is the head.
func (s *state) enqueue(w *webhook, event uint64, at orderPlace, due, now int64) {
	if w.orders == nil {
		w.orders = newOrders()
	}
	before, displaced := w.orders.add(event, at)
	if displaced { // it was imported
		s.schedule(w, before, never, now)
	}
	if w.orders.waits(event) {
		due = never
	}
	s.schedule(w, event, due, now)
}

// dequeue takes a delivery that has ended out of its queue, and schedules the next one.
func (s *state) dequeue(w *webhook, event uint64, now int64) {
	next, ok := w.orders.remove(event)
	if !ok {
		return
	}
	if due, pending := w.schedule.due(next); pending && due == never {
		s.schedule(w, next, now, now)
	}
}

// takeHeads leases up to n deliveries that are due. One that was taken by an admin, and is not the
// head, waits again.
func (w *webhook) takeHeads(n int, now, leaseEnd int64) []entry {
	taken := w.schedule.take(n, now, leaseEnd)
	if w.orders == nil {
		return taken
	}
	return slices.DeleteFunc(taken, func(e entry) bool {
		if !w.orders.waits(e.event) {
			return false
		}
		w.schedule.set(e.event, never)
		return true
	})
}

// indexOrders takes those that wait off the heap of a schedule that has just been read, and
// indexes it.
func (w *webhook) indexOrders() {
	w.schedule.heap = slices.DeleteFunc(w.schedule.heap, func(e entry) bool { return w.orders.waits(e.event) })
	w.schedule.index()
	if w.orders == nil {
		return
	}
	for event := range w.orders.of {
		if w.orders.waits(event) {
			w.schedule.set(event, never)
		}
	}
}

// waits reports whether a delivery waits for others with its order key.
func (s *Store) waits(event uint64, webhook uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil || s.state.byNumber[webhook] == nil {
		return false
	}
	return s.state.byNumber[webhook].orders.waits(event)
}
