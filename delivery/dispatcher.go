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
	// tryEvery is how often one delivery is sent while outcomes are unwritable.
	tryEvery = 30 * time.Second
)

// dispatcher decides what is sent when. Its claimers (see claimer.go), one for each
// partition of the store, fetch due deliveries as room for them appears; emits bring fresh
// ones that were given a place before they were stored.
//
// Every change of its state happens between lock and unlock, which also does what the
// change makes possible: it starts what can start and wakes claimers.
type dispatcher struct {
	store Store
	// lease is how long a claimed delivery may be held, by the settings in force.
	lease func() time.Duration
	// send makes the request of a delivery, whose slot is taken, in a goroutine of
	// its own.
	send func(w *sending)
	// release has a lease given back to the store. It does not wait.
	release func(Lease)
	// claimEnded is told how a claim in a partition ended that began at a time.
	claimEnded func(partition int, began time.Time, err error)

	mu        sync.Mutex
	slots     *slots
	claimers  []*claimer // by partition
	overdue   []*claimer // those whose overdue is true
	accepting bool       // false: nothing starts, everything stays in the store
	opened    time.Time  // when accepting became true
	spare     spare
	unwritten int // of all partitions: requests that ended but are not in the log yet
	// stalled: a queue was not served although its lane had a slot, since no
	// request could start at all.
	stalled bool
	// starting and returning are what unlock is to send, and to give back.
	starting, returning []*sending

	agingTimer *time.Timer // marks requests that have been in flight for long as slow
	aging      bool        // the timer is set
	starts     starts      // what waits for its start
}

func newDispatcher(store Store) *dispatcher {
	d := &dispatcher{store: store, slots: newSlots(2, 1)}
	d.agingTimer = time.AfterFunc(time.Hour, d.age)
	d.agingTimer.Stop()
	d.starts.timer = time.AfterFunc(time.Hour, d.startDue)
	d.starts.timer.Stop()
	return d
}

// setPartitions makes the claimers, once the store is open for the first time.
func (d *dispatcher) setPartitions(n int, of func(tenant string) int) {
	d.lock()
	defer d.unlock()
	d.slots.setPartitions(n, of)
	d.claimers = make([]*claimer, n)
	for i := range d.claimers {
		c := &claimer{partition: i, wake: make(chan struct{}, 1), held: make(map[*sending]struct{})}
		c.blocking = time.AfterFunc(time.Hour, func() { d.block(c) })
		c.blocking.Stop()
		d.claimers[i] = c
	}
}

func (d *dispatcher) lock() { d.mu.Lock() }

// unlock ends a change: it wakes claimers that may claim now, lets go of the lock, sends
// what was started, and gives back what cannot wait here.
func (d *dispatcher) unlock() {
	d.wakeClaimers()
	starting, returning := d.starting, d.returning
	d.starting, d.returning = nil, nil
	d.mu.Unlock()
	for _, w := range starting {
		d.send(w)
	}
	for _, w := range returning {
		d.release(w.lease())
	}
}

// mayStart says whether anything of a partition may be sent. While outcomes cannot be
// written, what is sent would only be sent again.
func (d *dispatcher) mayStart(c *claimer) bool {
	return d.accepting && !c.isBlocked() && d.mayWrite()
}

// mayWrite says whether there is room for more outcomes that wait to be written. Those of
// partitions that take none in do not count: they must not hold up the others, and no
// more are added to them.
func (d *dispatcher) mayWrite() bool {
	most := unwrittenPerSlot * d.slots.total
	if d.unwritten < most {
		return true
	}
	unwritten := d.unwritten
	for _, c := range d.claimers {
		if c.isStuck() {
			unwritten -= c.unwritten
		}
	}
	return unwritten < most
}

// isStuck says whether outcomes of the partition have been unwritable for a while.
func (c *claimer) isStuck() bool {
	return !c.writingSince.IsZero() && time.Since(c.writingSince) >= blockAfter
}

// isBlocked says whether nothing of the partition may be sent, since outcomes have been
// unwritable for a while. Now and then one delivery is sent all the same: its outcome tells
// whether all outcomes are unwritable, or one alone.
func (c *claimer) isBlocked() bool { return c.isStuck() && time.Now().Before(c.tryAt) }

// reserve takes places for the deliveries of a call that is about to be accepted, as
// far as there are any, and marks their targets.
func (d *dispatcher) reserve(m *emission) {
	d.lock()
	defer d.unlock()
	call := &m.call
	m.withdrawn, m.answered = false, false
	if !d.mayStart(d.claimers[d.slots.partitionOf(call.Tenant)]) {
		return
	}
	for i := range call.Events {
		ev := &call.Events[i]
		for j := range ev.Targets {
			t := &ev.Targets[j]
			w := m.record(i, j)
			t.Lease = w != nil && w.RateLimit == nil && t.Order == (OrderKey{}) &&
				d.slots.reserve(WebhookRef{call.Tenant, t.Webhook}, w.Concurrency, len(ev.Payload))
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
func (d *dispatcher) accepted(m *emission, leased []*sending, unused []reservation, stored []WebhookRef) {
	d.lock()
	defer d.unlock()
	if m.answered = true; m.withdrawn {
		unused, leased = nil, d.admitLate(leased)
	}
	for _, r := range unused {
		d.cancel(r.ref, r.bytes)
	}
	for _, ref := range stored {
		d.claimFor(ref)
	}
	d.enqueue(leased)
}

// cancel gives back a reservation. The caller has the lock.
func (d *dispatcher) cancel(ref WebhookRef, bytes int) {
	l := d.slots.lane(ref)
	d.slots.cancel(l, false, bytes)
	d.claimForRoom(l)
}

// withdrawPlaces takes back what is reserved for emissions whose Accept takes long: their
// partition may be away, and others need the room.
func (d *dispatcher) withdrawPlaces(batch []*emission) {
	d.lock()
	defer d.unlock()
	for _, m := range batch {
		if !m.withdrawn && !m.answered {
			m.withdrawn = true
			d.cancelAll(m)
		}
	}
}

// cancelPlaces gives back the places that were reserved for an emission.
func (d *dispatcher) cancelPlaces(m *emission) {
	d.lock()
	defer d.unlock()
	if !m.withdrawn {
		d.cancelAll(m)
	}
	m.answered = true
	for i := range m.call.Events {
		targets := m.call.Events[i].Targets
		for j := range targets {
			targets[j].Lease = false
		}
	}
}

// cancelAll gives back all places of an emission. The caller has the lock.
func (d *dispatcher) cancelAll(m *emission) {
	for i := range m.call.Events {
		ev := &m.call.Events[i]
		for _, t := range ev.Targets {
			if t.Lease {
				d.cancel(WebhookRef{m.call.Tenant, t.Webhook}, len(ev.Payload))
			}
		}
	}
}

// admitLate takes places for deliveries whose reservations were withdrawn, as far as there
// are any; the others go back to the store. The caller has the lock.
func (d *dispatcher) admitLate(leased []*sending) (admitted []*sending) {
	for _, w := range leased {
		if d.slots.admit(w.Webhook.Ref(), w.Webhook.Concurrency, false, len(w.Event.Payload)) {
			admitted = append(admitted, w)
		} else {
			d.returning = append(d.returning, w)
		}
	}
	return admitted
}

// enqueue puts deliveries that have places into the queues of their lanes, and starts
// what has a slot. Those that cannot wait are given back: their webhook has turned
// slow, or this process stops. The caller has the lock.
func (d *dispatcher) enqueue(leased []*sending) {
	now := time.Now()
	for _, w := range leased {
		d.slots.enqueue(w)
		d.starts.add(w)
		if next := d.startNext(w.lane, now); next != nil {
			d.starting = append(d.starting, next)
		} else if w.lane.slow && !w.isNextStart() || !d.accepting {
			d.giveBack(w.lane)
		}
	}
}

// startNext starts what waits first in a lane's queue, if it may: the caller sends it.
// While its partition takes in no outcomes, what waits is given back. The caller has the
// lock.
func (d *dispatcher) startNext(l *lane, now time.Time) *sending {
	if len(l.waiting) == 0 {
		return nil
	}
	c := d.claimers[l.partition]
	if c.isBlocked() {
		d.giveBack(l)
		return nil
	}
	switch first := l.waiting[0]; {
	case first.early:
		return nil
	case first.isLate(now):
		d.giveBack(l)
		return nil
	}
	var w *sending
	if d.mayStart(c) {
		w = d.slots.start(l, now)
	}
	if w != nil && c.isStuck() {
		c.tryAt = now.Add(tryEvery)
		c.blocking.Reset(tryEvery)
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

// giveBack gives back what waits in a lane's queue. The caller has the lock.
func (d *dispatcher) giveBack(l *lane) {
	l.backlog = true
	d.returning = append(d.returning, d.slots.empty(l)...)
}

// resume starts what stalled, if it can start now. The caller has the lock.
func (d *dispatcher) resume(now time.Time) {
	if !d.stalled || !d.accepting || !d.mayWrite() {
		return
	}
	d.stalled = false
	for l := range d.slots.all() {
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
	d.countUnwritten(w)
	return d.reuseSlot(w.lane, now)
}

// hold says that a request has ended, whose outcome is to be written, and which keeps its
// slot until then, or until outcomes of its partition have been unwritable for a while.
func (d *dispatcher) hold(w *sending) (next *sending) {
	d.lock()
	defer d.unlock()
	d.countUnwritten(w)
	c := d.claimers[w.lane.partition]
	if c.isBlocked() {
		return d.freeHeld(w)
	}
	c.held[w] = struct{}{}
	return nil
}

// letGo frees the slot of a request that was on hold.
func (d *dispatcher) letGo(w *sending) (next *sending) {
	d.lock()
	defer d.unlock()
	c := d.claimers[w.lane.partition]
	if _, held := c.held[w]; !held {
		return nil
	}
	delete(c.held, w)
	return d.freeHeld(w)
}

// freeHeld frees a slot. The caller has the lock.
func (d *dispatcher) freeHeld(w *sending) (next *sending) {
	now := time.Now()
	d.slots.finish(w, false, now)
	return d.reuseSlot(w.lane, now)
}

// countUnwritten counts an outcome that is to be written. The caller has the lock.
func (d *dispatcher) countUnwritten(w *sending) {
	d.unwritten++
	d.claimers[w.lane.partition].unwritten++
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

// writing says that outcomes of a partition are being written, until written.
func (d *dispatcher) writing(partition int) {
	d.lock()
	defer d.unlock()
	c := d.claimers[partition]
	if c.writingSince.IsZero() {
		c.writingSince = time.Now()
		c.tryAt = c.writingSince.Add(tryEvery)
		c.blocking.Reset(blockAfter)
	}
}

// block gives back what waits in a partition that takes in no outcomes, so that the slots
// are there for the others.
func (d *dispatcher) block(c *claimer) {
	d.lock()
	defer d.unlock()
	if !c.isBlocked() { // it was written just now, or one is to be tried: unlock sees to it
		return
	}
	c.blocking.Reset(time.Until(c.tryAt))
	for _, l := range d.slots.partitions[c.partition].of {
		d.giveBack(l)
	}
	for w := range c.held {
		if next := d.freeHeld(w); next != nil {
			d.starting = append(d.starting, next)
		}
	}
	clear(c.held)
	d.resume(time.Now())
}

// written says how many outcomes of requests that had a slot are in the log now, or given
// up.
func (d *dispatcher) written(partition, n int) {
	d.lock()
	defer d.unlock()
	c := d.claimers[partition]
	d.unwritten -= n
	c.unwritten -= n
	c.writingSince = time.Time{}
	c.blocking.Stop()
	d.resume(time.Now())
}

// recall gives back what waits here for a webhook that has changed.
func (d *dispatcher) recall(ref WebhookRef) {
	d.lock()
	defer d.unlock()
	if l := d.slots.lane(ref); l != nil {
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
	d.accepting, d.opened = true, time.Now()
	for _, c := range d.claimers {
		c.nextClaim, c.nextDue, c.dueSince = time.Time{}, time.Time{}, d.opened
	}
}

func (d *dispatcher) close() {
	d.lock()
	defer d.unlock()
	d.accepting = false
	for l := range d.slots.all() {
		d.returning = append(d.returning, d.slots.empty(l)...)
	}
}
