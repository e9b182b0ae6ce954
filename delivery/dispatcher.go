package delivery

import (
	"context"
	"sync"
	"time"
)

const (
	// leaseMargin is how much longer than the timeout a lease lasts.
	leaseMargin = 15 * time.Second
	// startMargin is how much longer than the timeout a lease must still last
	// when its request starts: time to write the outcome.
	startMargin = 5 * time.Second
	// Claims that fail are tried again after claimBackoff, twice as long each
	// time, up to maxClaimBackoff.
	claimBackoff    = 50 * time.Millisecond
	maxClaimBackoff = 2 * time.Second
	// unwrittenPerSlot bounds the outcomes that wait to be written.
	unwrittenPerSlot = 4
	// blockAfter is for how long outcomes may be unwritable before nothing more
	// is sent.
	blockAfter = time.Second
)

// dispatcher decides when what is sent. It sleeps until the next delivery falls
// due, until there is room for what is due already, or until it is told that
// something has become due.
type dispatcher struct {
	store Store
	// lease is how long a claimed delivery may be held, by the settings in force.
	lease func() time.Duration
	// start sends a delivery, whose slot is taken, in a goroutine of its own.
	start func(w *sending)
	// failed is told when a claim fails.
	failed func(err error)
	// release hands back leases for which no place was left.
	release func(leases []Lease)

	wake chan struct{} // of capacity 1

	mu        sync.Mutex
	slots     *slots
	accepting bool // false: nothing starts, all stays in the store
	stalled   bool // something that waits in a queue could not start, though its lane had a slot
	unwritten int  // requests that ended but are not in the log yet
	// writingSince is when the write of outcomes that goes on now began, or zero.
	writingSince time.Time
	next         time.Time // when to claim next; zero for now
	// passedSlow: the last claim had no room for slow webhooks, and so did not
	// hear when one of them is due.
	passedSlow bool
	// otherNext is zero unless the last claim asked about the fast or the slow
	// alone, and found nothing: then it is when that kind falls due next.
	otherNext time.Time
	aging     *time.Timer // marks what has been in flight for long
	ages      bool        // it is set
}

// notDue is a next claim that only a hint brings about.
var notDue = time.Unix(1<<40, 0)

func newDispatcher(store Store) *dispatcher {
	d := &dispatcher{
		store: store,
		wake:  make(chan struct{}, 1),
		slots: newSlots(2, 1),
	}
	d.aging = time.AfterFunc(time.Hour, d.age)
	d.aging.Stop()
	return d
}

// run claims and starts what is due until the context ends.
func (d *dispatcher) run(ctx context.Context) {
	d.mu.Lock()
	d.accepting = true
	d.next = time.Time{}
	d.mu.Unlock()
	defer d.refuse()

	timer := time.NewTimer(0)
	defer timer.Stop()
	backoff := claimBackoff
	for ctx.Err() == nil {
		room, wait, ok := d.plan(time.Now())
		if !ok {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-d.wake:
			case <-timer.C:
			}
			continue
		}
		began := time.Now()
		claimed, err := d.store.Claim(ctx, room.Room)
		if err != nil {
			if ctx.Err() == nil {
				d.failed(err)
			}
			claimed = Claimed{Next: backoff}
			backoff = min(2*backoff, maxClaimBackoff)
		} else {
			backoff = claimBackoff
		}
		d.settle(room, claimed, began)
	}
}

// refuse has nothing more started, and hands back what waits.
func (d *dispatcher) refuse() {
	d.mu.Lock()
	d.accepting = false
	var waited []*sending
	for _, l := range d.slots.lanes {
		waited = append(waited, d.slots.giveUp(l)...)
	}
	d.mu.Unlock()
	d.giveBack(waited)
}

// plan says what to claim now or, if nothing, how long to wait unless woken.
func (d *dispatcher) plan(now time.Time) (room promised, wait time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next.After(now) {
		return promised{}, d.next.Sub(now), false
	}
	if !d.mayClaim() {
		return promised{}, time.Hour, false // what makes room wakes us, as it is due
	}
	d.next = notDue // what comes up while the claim runs brings it forward
	room = d.slots.promise()
	room.Lease = d.lease()
	d.passedSlow = room.Slow == 0
	return room, 0, true
}

// mayClaim says whether there is room that is worth a round trip: in a busy
// process a few slots at a time would make many small claims.
func (d *dispatcher) mayClaim() bool {
	s := d.slots
	return d.mayStart() && s.free() > 0 && (s.free() >= s.total/8 || s.inFlight == 0)
}

// mayStart says whether anything may be sent. While outcomes cannot be written,
// what is sent would only be sent again.
func (d *dispatcher) mayStart() bool {
	return d.accepting && d.unwritten < unwrittenPerSlot*d.slots.total &&
		(d.writingSince.IsZero() || time.Since(d.writingSince) < blockAfter)
}

// settle takes in the answer to a claim and starts what it brought.
func (d *dispatcher) settle(room promised, claimed Claimed, began time.Time) {
	answered := time.Now()
	until := began.Add(room.Lease)
	var taken, turnedAway []*sending

	d.mu.Lock()
	d.slots.settle(room)
	perWebhook := make(map[WebhookRef]int)
	for i := range claimed.Jobs {
		job := &claimed.Jobs[i]
		w := &sending{Job: *job, until: until}
		ref := job.Webhook.Ref()
		if !d.slots.admit(ref, job.Slow, len(job.Event.Payload)) {
			turnedAway = append(turnedAway, w)
			continue
		}
		// A webhook that filled its room may have more that is due.
		perWebhook[ref]++
		given, known := room.Webhooks[ref]
		if !known {
			given = room.PerWebhook
		}
		if job.Slow {
			given = 1
		}
		if perWebhook[ref] >= given {
			d.slots.lanes[ref].backlog = true
		}
		taken = append(taken, w)
	}
	if at := d.claimAgain(room.slots, claimed, answered); at.Before(d.next) {
		d.next = at
	}
	starting, waited := d.take(taken)
	for ref, n := range room.Webhooks {
		// Those that were passed over are claimed for when their requests end.
		if l := d.slots.lanes[ref]; l != nil && n > 0 {
			d.look(l)
			d.slots.closeIfIdle(l)
		}
	}
	d.mu.Unlock()

	d.startAll(starting)
	d.giveBack(append(turnedAway, waited...))
}

// take puts deliveries that have places into the queues of their lanes, and gives
// those that start now, and those that cannot wait: their webhook has turned slow, or
// this process stops. The caller holds d.mu.
func (d *dispatcher) take(taken []*sending) (starting, waited []*sending) {
	now := time.Now()
	for _, w := range taken {
		d.slots.add(w)
		if next := d.begin(w.lane, now); next != nil {
			starting = append(starting, next)
		} else if w.lane.slow || !d.accepting {
			w.lane.backlog = true
			waited = append(waited, d.slots.giveUp(w.lane)...)
		}
	}
	return starting, waited
}

// begin starts what waits first in a lane's queue, if it may. The caller holds d.mu.
func (d *dispatcher) begin(l *lane, now time.Time) *sending {
	if len(l.waiting) == 0 {
		return nil
	}
	var w *sending
	if d.mayStart() {
		w = d.slots.begin(l, now)
	}
	switch {
	case w == nil && l.inFlight == 0:
		d.stalled = true
	case w != nil && !d.ages && !w.slow:
		d.ages = true
		d.aging.Reset(slowAfter)
	}
	return w
}

// resume starts what could not start before. The caller holds d.mu.
func (d *dispatcher) resume() (starting []*sending) {
	if !d.stalled || !d.mayStart() {
		return nil
	}
	d.stalled = false
	now := time.Now()
	for _, l := range d.slots.lanes {
		for w := d.begin(l, now); w != nil; w = d.begin(l, now) {
			starting = append(starting, w)
		}
	}
	return starting
}

func (d *dispatcher) startAll(starting []*sending) {
	for _, w := range starting {
		d.start(w)
	}
}

// giveBack hands back what has no place.
func (d *dispatcher) giveBack(waited []*sending) {
	if len(waited) == 0 {
		return
	}
	leases := make([]Lease, len(waited))
	for i, w := range waited {
		leases[i] = w.lease()
	}
	d.release(leases)
}

// claimAgain says when to claim next, as far as the answer to a claim tells. With
// one free slot only one kind of webhooks was asked about, the fast or the slow:
// the other comes at once, and only when neither had anything is there a wait.
func (d *dispatcher) claimAgain(slots int, claimed Claimed, answered time.Time) time.Time {
	at := answered.Add(claimed.Next)
	other := d.otherNext
	d.otherNext = time.Time{}
	switch {
	case slots > 1:
		return at
	case len(claimed.Jobs) > 0:
		return answered
	case other.IsZero():
		d.otherNext = at
		return answered
	case other.Before(at):
		return other
	default:
		return at
	}
}

// reserve takes places for the deliveries of a call that is about to be accepted, as
// far as there are any, and marks their targets.
func (d *dispatcher) reserve(call *AcceptCall) {
	d.mu.Lock()
	defer d.mu.Unlock()
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

// accepted says what became of the places of a call: some have deliveries now, some
// are not needed, and some deliveries wait in the store.
func (d *dispatcher) accepted(leased []*sending, unused []reservation, wait []WebhookRef) {
	d.mu.Lock()
	for _, r := range unused {
		d.cancel(r)
	}
	for _, ref := range wait {
		d.waits(ref)
	}
	starting, waited := d.take(leased)
	d.mu.Unlock()
	d.startAll(starting)
	d.giveBack(waited)
}

// reservation is a place that was taken for a fresh delivery.
type reservation struct {
	ref   WebhookRef
	bytes int
}

// cancel gives back a place for which there is no delivery. The caller holds d.mu.
func (d *dispatcher) cancel(r reservation) {
	l := d.slots.lanes[r.ref]
	d.slots.cancel(l, false, r.bytes)
	d.freed(l)
}

// age is called once a second at most while requests are in flight.
func (d *dispatcher) age() {
	d.mu.Lock()
	now := time.Now()
	waited, next := d.slots.age(now)
	d.ages = !next.IsZero()
	if d.ages {
		d.aging.Reset(next.Sub(now))
	}
	d.mu.Unlock()
	d.giveBack(waited)
}

// end says that a request has ended, whose outcome is to be written. What waited for
// its slot is the caller's to send next.
func (d *dispatcher) end(w *sending, success bool) (next *sending) {
	d.mu.Lock()
	now := time.Now()
	d.slots.end(w, success, now)
	d.unwritten++
	next, starting := d.vacated(w.lane, now)
	d.mu.Unlock()
	d.startAll(starting)
	return next
}

// leave says that a request was not made, or broken off: it has no outcome.
func (d *dispatcher) leave(w *sending) (next *sending) {
	d.mu.Lock()
	now := time.Now()
	d.slots.leave(w)
	next, starting := d.vacated(w.lane, now)
	d.mu.Unlock()
	d.startAll(starting)
	return next
}

// vacated gives a slot of the lane to what waits for it, and starts what else can
// start now. The caller holds d.mu.
func (d *dispatcher) vacated(l *lane, now time.Time) (next *sending, starting []*sending) {
	next = d.begin(l, now)
	if next != nil {
		if w := d.begin(l, now); w != nil { // its window has grown
			starting = append(starting, w)
		}
	}
	d.freed(l)
	return next, append(starting, d.resume()...)
}

// freed brings the next claim forward if places are free that something waits for in
// the store. The caller holds d.mu.
func (d *dispatcher) freed(l *lane) {
	d.look(l)
	if d.passedSlow && d.slots.slowFree() > 0 {
		d.passedSlow = false
		d.next = time.Time{}
	}
	d.wakeIfDue()
}

// look brings the next claim forward if something waits in the store for the lane, and
// there is room for it. The caller holds d.mu.
func (d *dispatcher) look(l *lane) {
	if l.backlog && (l.held == 0 || d.isRoomy(l)) {
		l.backlog = false
		d.next = time.Time{}
		d.wakeIfDue()
	}
}

// isRoomy says whether a lane has so much room that it is worth a claim: a few places
// at a time would make many small ones. What waits in its queue lasts meanwhile.
func (d *dispatcher) isRoomy(l *lane) bool {
	places, _ := d.slots.room(l)
	return places >= max(1, d.slots.limit(l)/4, d.slots.ahead(l)/2)
}

// writing and written mark the time for which outcomes are being written;
// written says how many of those of end are in the log now.
func (d *dispatcher) writing() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writingSince = time.Now()
}

func (d *dispatcher) written(n int) {
	d.mu.Lock()
	d.unwritten -= n
	d.writingSince = time.Time{}
	d.wakeIfDue()
	starting := d.resume()
	d.mu.Unlock()
	d.startAll(starting)
}

// waits says that a delivery which is due waits in the store. The caller holds d.mu.
func (d *dispatcher) waits(ref WebhookRef) {
	if l := d.slots.lanes[ref]; l != nil {
		l.backlog = true
		if l.claiming == 0 { // else what is promised may come back unused
			d.look(l)
		}
		return
	}
	d.next = time.Time{}
	d.wakeIfDue()
}

// forget hands back what waits here for a webhook, which has changed.
func (d *dispatcher) forget(ref WebhookRef) {
	d.mu.Lock()
	var waited []*sending
	if l := d.slots.lanes[ref]; l != nil {
		waited = d.slots.giveUp(l)
	}
	d.mu.Unlock()
	d.giveBack(waited)
}

// due says that a delivery in the store falls due after the given time.
func (d *dispatcher) due(after time.Duration) {
	at := time.Now().Add(after)
	d.mu.Lock()
	defer d.mu.Unlock()
	if at.Before(d.next) {
		d.next = at
		d.signal()
	}
}

// limit changes how many requests may be in flight.
func (d *dispatcher) limit(total, perWebhook int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slots.limitTo(total, perWebhook)
	d.wakeIfDue()
}

func (d *dispatcher) wakeIfDue() {
	if d.mayClaim() && !d.next.After(time.Now()) {
		d.signal()
	}
}

func (d *dispatcher) signal() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}
