package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

// A claim that fails is tried again after claimBackoff at first, and after
// maxClaimBackoff in the end.
const (
	claimBackoff    = 50 * time.Millisecond
	maxClaimBackoff = 2 * time.Second
)

// notDue is the time of a next claim that only something new can bring about.
var notDue = time.Unix(1<<40, 0)

// claimer claims what is due in one partition of the store. The dispatcher guards it with
// its lock.
type claimer struct {
	partition int
	wake      chan struct{} // of capacity 1: it should look again

	nextClaim time.Time // when it should claim next; zero for now
	// nextDue is when anything falls due, as far as this process knows: before that, room
	// for more is no reason to claim.
	nextDue    time.Time
	nothingDue bool // nothing is known to fall due: nextDue is when to ask
	// overdue: it sleeps although it should have claimed, or will sleep for longer than
	// it should. It is woken as soon as it may claim.
	overdue bool
	// waits is since when it could not claim for want of room, or zero.
	waits time.Time
	// again: while a claim ran, there was room again for what may have been left out.
	again bool
	// meanwhile is when the first delivery falls due of those that have become known since the
	// last claim began, which may have left them out.
	meanwhile time.Time
	turns     turns // of webhooks that respond and slow ones, when only one slot is free
	// promised is what is set aside for the claim that runs, nil if there is none, or if
	// it has taken so long that the room was given to others.
	promised *promise
	failing  bool // the last claim has failed
	// dueSince is since when a delivery that could be sent has been due, as far as is
	// known, or when the next one falls due.
	dueSince time.Time

	unwritten int                   // requests that ended but are not in the log yet
	held      map[*sending]struct{} // requests that ended and keep their slots, until they are in the log
	// writingSince is since when outcomes are being written, or zero. When that has taken
	// too long, blocking calls block, and nothing is sent before tryAt.
	writingSince, tryAt time.Time
	blocking            *time.Timer
}

// run claims and starts what is due in a partition until the context ends. It sleeps until
// the next delivery falls due, until there is room for what is due already, or until
// something new is due.
func (d *dispatcher) run(ctx context.Context, partition int) {
	c := d.claimers[partition]
	timer := time.NewTimer(0)
	defer timer.Stop()
	hurry := time.AfterFunc(time.Hour, func() { d.withdraw(c) })
	defer hurry.Stop()
	again := backoff.Backoff{First: claimBackoff, Most: maxClaimBackoff}
	for ctx.Err() == nil {
		room, wait, ok := d.plan(c, time.Now())
		if !ok {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-c.wake:
			case <-timer.C:
			}
			continue
		}
		began := time.Now()
		hurry.Reset(blockAfter)
		claimed, err := d.store.Claim(ctx, partition, room.Room)
		hurry.Stop()
		if ctx.Err() == nil {
			d.claimEnded(partition, began, err)
		}
		if err != nil {
			claimed = Claimed{Next: again.Next()}
		} else {
			again.Reset()
		}
		d.claimed(c, room, claimed, began, err)
	}
}

// plan says what to claim now or, if nothing, how long to sleep unless woken.
func (d *dispatcher) plan(c *claimer, now time.Time) (room *promise, sleep time.Duration, ok bool) {
	d.lock()
	defer d.unlock()
	d.setOverdue(c, false)
	select { // whatever was to wake the claimer is considered now
	case <-c.wake:
	default:
	}
	if c.nextClaim.After(now) {
		return nil, c.nextClaim.Sub(now), false
	}
	if !d.mayClaim(c) {
		if d.setOverdue(c, true); c.waits.IsZero() {
			c.waits = now
		}
		return nil, time.Hour, false // whatever makes room will wake the claimer
	}
	c.waits = time.Time{}
	c.again, c.meanwhile = false, notDue
	c.nextClaim, c.nextDue = notDue, notDue // whatever becomes due while the claim runs brings them forward
	p := d.slots.promise(c.partition, !c.failing && !c.isStuck(), &c.turns)
	p.Lease = d.lease()
	c.promised = &p
	return c.promised, 0, true
}

// mayClaim says whether there is enough room to be worth a round trip: claiming a few
// slots at a time would make many small claims in a busy process. Whoever has waited for long
// takes any.
func (d *dispatcher) mayClaim(c *claimer) bool {
	s := d.slots
	return d.mayStart(c) && s.free() > 0 &&
		(s.free() >= s.total/8 || s.inFlight == 0 || !c.waits.IsZero() && time.Since(c.waits) >= ClaimEvery)
}

// withdraw takes back what is set aside for a claim that takes long: its partition may be
// away, and others need the room. What it brings nevertheless is sent as far as there is
// room then.
func (d *dispatcher) withdraw(c *claimer) {
	d.lock()
	defer d.unlock()
	d.endPromise(c)
}

// endPromise makes free what is set aside for a claim. The caller has the lock.
func (d *dispatcher) endPromise(c *claimer) {
	if c.promised != nil {
		d.slots.takeBack(*c.promised)
		c.promised = nil
	}
}

// claimed takes in the answer to a claim and starts what it brought.
func (d *dispatcher) claimed(c *claimer, room *promise, claimed Claimed, began time.Time, err error) {
	d.lock()
	defer d.unlock()
	d.endPromise(c)
	now := time.Now()
	if c.failing = err != nil; c.failing {
		c.nextDue = now
		d.claimBy(c, now.Add(claimed.Next))
	} else {
		c.dueSince = now.Add(claimed.Next - claimed.Oldest)
		if claimed.Next >= ClaimEvery { // nothing is known to fall due
			c.dueSince = notDue
		}
		c.dueSince = earlier(c.dueSince, c.meanwhile)
		c.nothingDue = claimed.Due >= ClaimEvery && c.nextDue.Equal(notDue)
		c.nextDue = earlier(c.nextDue, now.Add(claimed.Due))
		d.claimBy(c, c.turns.claimAgain(room.slots, claimed, now))
	}
	if c.again {
		d.claimWhenDue(c)
	}
	d.enqueue(d.admit(room, claimed.Jobs, began.Add(room.Lease), now))
	for ref, n := range room.Webhooks {
		// Lanes that were passed over are claimed for when their requests end.
		if l := d.slots.lane(ref); l != nil && n > 0 {
			d.claimForRoom(l)
			d.slots.closeIfIdle(l)
		}
	}
}

// admit takes places for claimed deliveries and returns those that got one; the others
// go back to the store. A webhook that filled its room may have more that is due. The
// caller has the lock.
func (d *dispatcher) admit(room *promise, jobs []Job, until, now time.Time) (admitted []*sending) {
	perWebhook := make(map[WebhookRef]int)
	for i := range jobs {
		w := &sending{Job: jobs[i], until: until}
		w.setStart(now)
		ref := w.Webhook.Ref()
		if !d.slots.admit(ref, w.Webhook.Concurrency, w.Slow, len(w.Event.Payload)) {
			d.returning = append(d.returning, w)
			continue
		}
		perWebhook[ref]++
		if perWebhook[ref] >= room.For(ref, w.Slow) {
			d.slots.lane(ref).backlog = true
		}
		admitted = append(admitted, w)
	}
	return admitted
}

// claimForRoom claims as soon as anything is due if the lane, or slow webhooks, have room
// again for what was left in the store. The caller has the lock.
func (d *dispatcher) claimForRoom(l *lane) {
	if d.slots.hasRoomAgain(l) {
		d.claimWhenDue(d.claimers[l.partition])
	}
	for _, partition := range d.slots.slowHaveRoomAgain() {
		d.claimWhenDue(d.claimers[partition])
	}
}

// claimWhenDue claims as soon as anything is due. The caller has the lock.
func (d *dispatcher) claimWhenDue(c *claimer) {
	if !c.nothingDue && !c.nextDue.Equal(notDue) {
		c.dueSince = earlier(c.dueSince, later(c.nextDue, time.Now()))
	}
	switch {
	case c.failing: // it is tried again in any case
	case c.nextDue.Equal(notDue): // the claim that runs will say
		c.again = true
	default:
		d.claimBy(c, c.nextDue)
	}
}

// claimFor claims a due delivery of the webhook, which is in the store, as soon as there
// is room. The caller has the lock.
func (d *dispatcher) claimFor(ref WebhookRef) {
	c := d.claimers[d.slots.partitionOf(ref.Tenant)]
	l := d.slots.lane(ref)
	if l == nil {
		d.fallsDue(c, time.Now())
		return
	}
	c.nextDue, c.nothingDue = time.Time{}, false
	l.backlog = true
	d.claimForRoom(l)
}

// claimNext claims for a webhook of which another delivery may be due now.
func (d *dispatcher) claimNext(ref WebhookRef) {
	d.lock()
	defer d.unlock()
	d.claimFor(ref)
}

// claimIn makes sure that the next claim in a partition comes within the given time.
func (d *dispatcher) claimIn(partition int, after time.Duration) {
	at := time.Now().Add(after)
	d.lock()
	defer d.unlock()
	d.fallsDue(d.claimers[partition], at)
}

// fallsDue has a delivery claimed that falls due and has room. The caller has the lock.
func (d *dispatcher) fallsDue(c *claimer, at time.Time) {
	c.nextDue, c.nothingDue = earlier(c.nextDue, at), false
	c.dueSince, c.meanwhile = earlier(c.dueSince, at), earlier(c.meanwhile, at)
	d.claimBy(c, at)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// claimBy brings the next claim forward. The caller has the lock.
func (d *dispatcher) claimBy(c *claimer, at time.Time) {
	if at.Before(c.nextClaim) {
		c.nextClaim = at
		d.setOverdue(c, true)
	}
}

// setOverdue says whether a claimer should be woken as soon as it may claim. The caller has
// the lock.
func (d *dispatcher) setOverdue(c *claimer, overdue bool) {
	if overdue == c.overdue {
		return
	}
	c.overdue = overdue
	if overdue {
		d.overdue = append(d.overdue, c)
	} else {
		d.overdue = slices.DeleteFunc(d.overdue, func(other *claimer) bool { return other == c })
	}
}

// wakeClaimers wakes those that are overdue and may claim now, the longest overdue first.
// The caller has the lock.
func (d *dispatcher) wakeClaimers() {
	if len(d.overdue) == 0 {
		return
	}
	d.overdue = slices.DeleteFunc(d.overdue, func(c *claimer) bool {
		if !d.mayClaim(c) {
			return false
		}
		c.overdue = false
		select {
		case c.wake <- struct{}{}:
		default:
		}
		return true
	})
}

// overdueFor is for how long a delivery of a partition that could be sent has been due, 0
// if none is.
func (d *dispatcher) overdueFor(partition int, now time.Time) time.Duration {
	d.lock()
	defer d.unlock()
	since := d.claimers[partition].dueSince
	if since.Before(d.opened) { // nobody was there to send it
		since = d.opened
	}
	return max(0, now.Sub(since))
}
