package delivery

import (
	"context"
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

// run claims and starts what is due until the context ends. It sleeps until the next
// delivery falls due, until there is room for what is due already, or until something
// new is due.
func (d *dispatcher) run(ctx context.Context) {
	d.open()
	defer d.close()

	timer := time.NewTimer(0)
	defer timer.Stop()
	again := backoff.Backoff{First: claimBackoff, Most: maxClaimBackoff}
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
				d.claimFailed(err)
			}
			claimed = Claimed{Next: again.Next()}
		} else {
			again.Reset()
		}
		d.claimed(room, claimed, began)
	}
}

// plan says what to claim now or, if nothing, how long to sleep unless woken.
func (d *dispatcher) plan(now time.Time) (room promise, sleep time.Duration, ok bool) {
	d.lock()
	defer d.unlock()
	d.overdue = false
	select { // whatever was to wake the claimer is considered now
	case <-d.wake:
	default:
	}
	if d.nextClaim.After(now) {
		return promise{}, d.nextClaim.Sub(now), false
	}
	if !d.mayClaim() {
		d.overdue = true
		return promise{}, time.Hour, false // whatever makes room will wake the claimer
	}
	d.nextClaim = notDue // whatever becomes due while the claim runs brings it forward
	room = d.slots.promise(&d.turns)
	room.Lease = d.lease()
	return room, 0, true
}

// mayClaim says whether there is enough room to be worth a round trip: claiming a few
// slots at a time would make many small claims in a busy process.
func (d *dispatcher) mayClaim() bool {
	s := d.slots
	return d.mayStart() && s.free() > 0 && (s.free() >= s.total/8 || s.inFlight == 0)
}

// claimed takes in the answer to a claim and starts what it brought.
func (d *dispatcher) claimed(room promise, claimed Claimed, began time.Time) {
	d.lock()
	defer d.unlock()
	d.slots.takeBack(room)
	d.claimBy(d.turns.claimAgain(room.slots, claimed, time.Now()))
	d.enqueue(d.admit(room, claimed.Jobs, began.Add(room.Lease)))
	for ref, n := range room.Webhooks {
		// Lanes that were passed over are claimed for when their requests end.
		if l := d.slots.lanes[ref]; l != nil && n > 0 {
			d.claimForRoom(l)
			d.slots.closeIfIdle(l)
		}
	}
}

// admit takes places for claimed deliveries and returns those that got one; the others
// go back to the store. A webhook that filled its room may have more that is due. The
// caller has the lock.
func (d *dispatcher) admit(room promise, jobs []Job, until time.Time) (admitted []*sending) {
	perWebhook := make(map[WebhookRef]int)
	for i := range jobs {
		w := &sending{Job: jobs[i], until: until}
		ref := w.Webhook.Ref()
		if !d.slots.admit(ref, w.Slow, len(w.Event.Payload)) {
			d.returning = append(d.returning, w)
			continue
		}
		perWebhook[ref]++
		if perWebhook[ref] >= room.For(ref, w.Slow) {
			d.slots.lanes[ref].backlog = true
		}
		admitted = append(admitted, w)
	}
	return admitted
}

// claimForRoom claims at once if the lane, or slow webhooks, have room again for what
// was left in the store. The caller has the lock.
func (d *dispatcher) claimForRoom(l *lane) {
	if d.slots.hasRoomAgain(l) {
		d.claimBy(time.Time{})
	}
}

// claimFor claims a due delivery of the webhook, which is in the store, as soon as there
// is room. The caller has the lock.
func (d *dispatcher) claimFor(ref WebhookRef) {
	l := d.slots.lanes[ref]
	if l == nil {
		d.claimBy(time.Time{})
		return
	}
	l.backlog = true
	d.claimForRoom(l)
}

// claimIn makes sure that the next claim comes within the given time.
func (d *dispatcher) claimIn(after time.Duration) {
	at := time.Now().Add(after)
	d.lock()
	defer d.unlock()
	d.claimBy(at)
}

// claimBy brings the next claim forward. The caller has the lock.
func (d *dispatcher) claimBy(at time.Time) {
	if at.Before(d.nextClaim) {
		d.nextClaim = at
		d.overdue = true
	}
}
