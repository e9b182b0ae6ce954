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
// due, until a slot is free for what is due already, or until it is told that
// something has become due.
type dispatcher struct {
	store Store
	// lease is how long a claimed delivery may be held, by the settings in force.
	lease func() time.Duration
	// start sends a job, in a slot that is taken, in a goroutine of its own.
	// leaseUntil is when the lease ends, by this machine's monotonic clock.
	start func(job Job, leaseUntil time.Time)
	// failed is told when a claim fails.
	failed func(err error)
	// release hands back leases for which no slot was left.
	release func(leases []Lease)

	wake chan struct{} // of capacity 1

	mu        sync.Mutex
	slots     *slots
	accepting bool // false: nothing starts, all stays in the store
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
	defer func() {
		d.mu.Lock()
		d.accepting = false
		d.mu.Unlock()
	}()

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
		claimed, err := d.store.Claim(ctx, room)
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

// plan says what to claim now or, if nothing, how long to wait unless woken.
func (d *dispatcher) plan(now time.Time) (room Room, wait time.Duration, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.next.After(now) {
		return Room{}, d.next.Sub(now), false
	}
	if !d.mayClaim() {
		return Room{}, time.Hour, false // what makes room wakes us, as it is due
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
func (d *dispatcher) settle(room Room, claimed Claimed, began time.Time) {
	answered := time.Now()
	leaseUntil := began.Add(room.Lease)
	var tooMany []Lease

	d.mu.Lock()
	d.slots.settle(room)
	perWebhook := make(map[WebhookRef]int)
	starting := claimed.Jobs[:0]
	for _, job := range claimed.Jobs {
		ref := job.Webhook.Ref()
		if !d.slots.admit(ref, job.Slow) {
			tooMany = append(tooMany, Lease{ref, job.Event.ID, job.LeaseEnd})
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
		starting = append(starting, job)
	}
	if at := d.claimAgain(room, claimed, answered); at.Before(d.next) {
		d.next = at
	}
	d.mu.Unlock()

	for _, job := range starting {
		d.start(job, leaseUntil)
	}
	if len(tooMany) > 0 {
		d.release(tooMany)
	}
}

// claimAgain says when to claim next, as far as the answer to a claim tells. With
// one free slot only one kind of webhooks was asked about, the fast or the slow:
// the other comes at once, and only when neither had anything is there a wait.
func (d *dispatcher) claimAgain(room Room, claimed Claimed, answered time.Time) time.Time {
	at := answered.Add(claimed.Next)
	other := d.otherNext
	d.otherNext = time.Time{}
	switch {
	case room.Fast+room.Slow > 1:
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

// reserve takes a slot for a delivery that is about to be accepted.
func (d *dispatcher) reserve(ref WebhookRef) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.mayStart() && d.slots.reserve(ref)
}

// cancel gives back a slot that was taken, for a slow webhook or not.
func (d *dispatcher) cancel(ref WebhookRef, slow bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.freed(d.slots.cancel(ref, slow))
}

// begin and end mark the time for which a request is in flight.
func (d *dispatcher) begin(ref WebhookRef, slow bool) *sending {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.ages && !slow {
		d.ages = true
		d.aging.Reset(slowAfter)
	}
	return d.slots.begin(ref, slow, time.Now())
}

// age is called once a second at most while requests are in flight.
func (d *dispatcher) age() {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	next := d.slots.age(now)
	d.ages = !next.IsZero()
	if d.ages {
		d.aging.Reset(next.Sub(now))
	}
}

func (d *dispatcher) end(r *sending, success bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slots.end(r, success)
	d.unwritten++
	d.freed(r.lane)
}

// freed brings the next claim forward if a slot that was given back is one that
// something waits for in the store.
func (d *dispatcher) freed(l *lane) {
	// A few slots at a time would make many small claims.
	if l.backlog && (l.inFlight == 0 || d.slots.room(l) >= max(1, min(l.window, d.slots.perWebhook)/4)) {
		l.backlog = false
		d.next = time.Time{}
	}
	if d.passedSlow && d.slots.slowFree() > 0 {
		d.passedSlow = false
		d.next = time.Time{}
	}
	d.wakeIfDue()
}

// unsent says that a request which ended will have no outcome.
func (d *dispatcher) unsent() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unwritten--
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
	defer d.mu.Unlock()
	d.unwritten -= n
	d.writingSince = time.Time{}
	d.wakeIfDue()
}

// waits says that a delivery which is due waits in the store.
func (d *dispatcher) waits(ref WebhookRef) {
	d.mu.Lock()
	defer d.mu.Unlock()
	// What a claim that is on its way was promised may come back unused.
	if l := d.slots.lanes[ref]; l != nil && l.claiming == 0 && d.slots.room(l) == 0 {
		l.backlog = true
		return
	}
	d.next = time.Time{}
	d.wakeIfDue()
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
	d.slots.total, d.slots.perWebhook = total, perWebhook
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
