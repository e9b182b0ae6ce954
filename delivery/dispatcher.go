package delivery

import (
	"sync"
	"time"
)

const (
	// leaseMargin is how much longer than the timeout a lease lasts.
	leaseMargin = 15 * time.Second
	// startMargin is how much longer than the timeout a lease must still last
	// when its request starts: time to write the outcome.
	startMargin = 5 * time.Second
	// unwrittenPerSlot bounds the outcomes that wait to be written.
	unwrittenPerSlot = 4
	// blockAfter is for how long outcomes may be unwritable before nothing more
	// is sent.
	blockAfter = time.Second
)

// dispatcher decides what is sent when. Its claimer (see claimer.go) fetches due
// deliveries from the store as room for them appears; emits bring fresh ones that
// were given a place before they were stored.
//
// Every change of its state happens between lock and unlock, which also does what the
// change makes possible: it starts what can start and wakes the claimer.
type dispatcher struct {
	store Store
	// lease is how long a claimed delivery may be held, by the settings in force.
	lease func() time.Duration
	// send makes the request of a delivery, whose slot is taken, in a goroutine of
	// its own.
	send func(w *sending)
	// release gives leases back to the store.
	release func(leases []Lease)
	// claimFailed is told why a claim failed.
	claimFailed func(err error)

	wake chan struct{} // of capacity 1: the claimer should look again

	mu        sync.Mutex
	slots     *slots
	accepting bool // false: nothing starts, everything stays in the store
	unwritten int  // requests that ended but are not in the log yet
	// writingSince is when the write of outcomes that goes on now began, or zero.
	writingSince time.Time
	// stalled: a queue was not served although its lane had a slot, since no
	// request could start at all.
	stalled bool
	// starting and returning are what unlock is to send, and to give back.
	starting, returning []*sending

	nextClaim time.Time // when the claimer should claim next; zero for now
	// overdue: the claimer sleeps although it should have claimed, or will sleep for
	// longer than it should. It is woken as soon as it may claim.
	overdue bool
	turns   turns // of webhooks that respond and slow ones, when only one slot is free

	agingTimer *time.Timer // marks requests that have been in flight for long as slow
	aging      bool        // the timer is set
}

func newDispatcher(store Store) *dispatcher {
	d := &dispatcher{
		store: store,
		wake:  make(chan struct{}, 1),
		slots: newSlots(2, 1),
	}
	d.agingTimer = time.AfterFunc(time.Hour, d.age)
	d.agingTimer.Stop()
	return d
}

func (d *dispatcher) lock() { d.mu.Lock() }

// unlock ends a change: it wakes the claimer if that may claim now, lets go of the
// lock, sends what was started, and gives back what cannot wait here.
func (d *dispatcher) unlock() {
	if d.overdue && d.mayClaim() {
		d.overdue = false
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
	starting, returning := d.starting, d.returning
	d.starting, d.returning = nil, nil
	d.mu.Unlock()
	for _, w := range starting {
		d.send(w)
	}
	if len(returning) > 0 {
		leases := make([]Lease, len(returning))
		for i, w := range returning {
			leases[i] = w.lease()
		}
		d.release(leases)
	}
}

// mayStart says whether anything may be sent. While outcomes cannot be written,
// what is sent would only be sent again.
func (d *dispatcher) mayStart() bool {
	return d.accepting && d.unwritten < unwrittenPerSlot*d.slots.total &&
		(d.writingSince.IsZero() || time.Since(d.writingSince) < blockAfter)
}

// reserve takes places for the deliveries of a call that is about to be accepted, as
// far as there are any, and marks their targets.
func (d *dispatcher) reserve(call *AcceptCall) {
	d.lock()
	defer d.unlock()
	if !d.mayStart() {
		return
	}
	for i := range call.Events {
		ev := &call.Events[i]
		for j := range ev.Targets {
			t := &ev.Targets[j]
			t.Lease = d.slots.reserve(WebhookRef{call.Tenant, t.Webhook}, len(ev.Payload))
		}
	}
}

// reservation is a place that was taken for a fresh delivery.
type reservation struct {
	ref   WebhookRef
	bytes int
}

// accepted says what became of the reservations of a call: some have deliveries now,
// some are not used, and some deliveries stay in the store.
func (d *dispatcher) accepted(leased []*sending, unused []reservation, stored []WebhookRef) {
	d.lock()
	defer d.unlock()
	for _, r := range unused {
		l := d.slots.lanes[r.ref]
		d.slots.cancel(l, false, r.bytes)
		d.claimForRoom(l)
	}
	for _, ref := range stored {
		d.claimFor(ref)
	}
	d.enqueue(leased)
}

// enqueue puts deliveries that have places into the queues of their lanes, and starts
// what has a slot. Those that cannot wait are given back: their webhook has turned
// slow, or this process stops. The caller has the lock.
func (d *dispatcher) enqueue(leased []*sending) {
	now := time.Now()
	for _, w := range leased {
		d.slots.enqueue(w)
		if next := d.startNext(w.lane, now); next != nil {
			d.starting = append(d.starting, next)
		} else if w.lane.slow || !d.accepting {
			w.lane.backlog = true
			d.returning = append(d.returning, d.slots.empty(w.lane)...)
		}
	}
}

// startNext starts what waits first in a lane's queue, if it may: the caller sends it.
// The caller has the lock.
func (d *dispatcher) startNext(l *lane, now time.Time) *sending {
	if len(l.waiting) == 0 {
		return nil
	}
	var w *sending
	if d.mayStart() {
		w = d.slots.start(l, now)
	}
	switch {
	case w == nil && l.inFlight == 0:
		d.stalled = true
	case w != nil && !d.aging && !w.slow:
		d.aging = true
		d.agingTimer.Reset(slowAfter)
	}
	return w
}

// resume starts what stalled, if it can start now. The caller has the lock.
func (d *dispatcher) resume(now time.Time) {
	if !d.stalled || !d.mayStart() {
		return
	}
	d.stalled = false
	for _, l := range d.slots.lanes {
		for w := d.startNext(l, now); w != nil; w = d.startNext(l, now) {
			d.starting = append(d.starting, w)
		}
	}
}

// finish says that a request has ended, whose outcome is to be written. What waited
// for its slot is the caller's to send next.
func (d *dispatcher) finish(w *sending, success bool) (next *sending) {
	d.lock()
	defer d.unlock()
	now := time.Now()
	d.slots.finish(w, success, now)
	d.unwritten++
	return d.reuseSlot(w.lane, now)
}

// abandon says that a request was not made, or broken off: it has no outcome.
func (d *dispatcher) abandon(w *sending) (next *sending) {
	d.lock()
	defer d.unlock()
	d.slots.abandon(w)
	return d.reuseSlot(w.lane, time.Now())
}

// reuseSlot gives a slot of the lane that became free to what waits for it, starts
// what else can start now, and has the rest claimed. The caller has the lock.
func (d *dispatcher) reuseSlot(l *lane, now time.Time) (next *sending) {
	next = d.startNext(l, now)
	if next != nil {
		if w := d.startNext(l, now); w != nil { // its window has grown
			d.starting = append(d.starting, w)
		}
	}
	d.claimForRoom(l)
	d.resume(now)
	return next
}

// age turns requests slow that have been in flight for long. It is called once a
// second at most while requests are in flight.
func (d *dispatcher) age() {
	d.lock()
	defer d.unlock()
	now := time.Now()
	waited, next := d.slots.age(now)
	d.returning = append(d.returning, waited...)
	d.aging = !next.IsZero()
	if d.aging {
		d.agingTimer.Reset(next.Sub(now))
	}
}

// writing and written mark the time during which outcomes are being written; written
// says how many of those of finish are in the log now.
func (d *dispatcher) writing() {
	d.lock()
	defer d.unlock()
	d.writingSince = time.Now()
}

func (d *dispatcher) written(n int) {
	d.lock()
	defer d.unlock()
	d.unwritten -= n
	d.writingSince = time.Time{}
	d.resume(time.Now())
}

// recall gives back what waits here for a webhook that has changed.
func (d *dispatcher) recall(ref WebhookRef) {
	d.lock()
	defer d.unlock()
	if l := d.slots.lanes[ref]; l != nil {
		d.returning = append(d.returning, d.slots.empty(l)...)
	}
}

// setLimits changes how many requests may be in flight.
func (d *dispatcher) setLimits(total, perWebhook int) {
	d.lock()
	defer d.unlock()
	d.slots.setLimits(total, perWebhook)
}

// open lets requests start; close has no more started, and gives back what waits.
func (d *dispatcher) open() {
	d.lock()
	defer d.unlock()
	d.accepting = true
	d.nextClaim = time.Time{}
}

func (d *dispatcher) close() {
	d.lock()
	defer d.unlock()
	d.accepting = false
	for _, l := range d.slots.lanes {
		d.returning = append(d.returning, d.slots.empty(l)...)
	}
}
