package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// inOrder gives an event's deliveries an order key, 0 for none.
func inOrder(e delivery.AcceptEvent, key byte) delivery.AcceptEvent {
	for i := range e.Targets {
		e.Targets[i].Order = delivery.OrderKey{15: key}
	}
	return e
}

// queue accepts an event for a webhook for each key, in one call.
func (f *fixture) queue(w *delivery.Webhook, keys ...byte) (ids []uuid.UUID) {
	f.Helper()
	events := make([]delivery.AcceptEvent, len(keys))
	for i, key := range keys {
		events[i] = inOrder(f.event(w), key)
		ids = append(ids, events[i].ID)
	}
	f.accept(held, events...)
	return ids
}

// claimOf claims all that is due, which must be deliveries of some events, and returns them in the
// order of these.
func (f *fixture) claimOf(what string, events ...uuid.UUID) []delivery.Job {
	f.Helper()
	jobs := make([]delivery.Job, len(events))
	all := f.drain(wideRoom)
	for i := range all {
		at := slices.Index(events, all[i].Event.ID)
		if at < 0 {
			f.Fatalf("%s: delivery %d of event %s is due", what, i, all[i].Event.ID)
		}
		jobs[at] = all[i]
	}
	if len(all) != len(events) {
		f.Fatalf("%s: %d deliveries are due, want %d", what, len(all), len(events))
	}
	return jobs
}

// testOrder has deliveries of one key go one at a time, and others side by side with them.
func testOrder(f *fixture) {
	w, other := f.webhook(tenant), f.webhook(tenant)
	ids := f.queue(w, 1, 2, 1, 0, 1)
	more := f.queue(w, 1, 0, 2)
	others := f.queue(other, 1, 1)
	jobs := f.claimOf("at first", ids[0], ids[1], ids[3], more[1], others[0])
	if !jobs[0].Ordered || !jobs[4].Ordered {
		f.Errorf("a job with an order key does not say so: %+v", jobs[0])
	}
	first := &jobs[0]
	waiting := &delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: ids[2]}}
	f.wantDelivery(waiting, delivery.DeliveryPending, 0, time.Time{})
	if n := f.webhookPending(tenant, w.ID, other.ID); n[0] != 8 || n[1] != 2 {
		f.Errorf("pending are %v, want 8 and 2", n)
	}
	f.complete(retried(f.outcome(first), f.store.Now().Add(time.Hour)))
	f.complete(succeeded(f.outcome(&jobs[2])), succeeded(f.outcome(&jobs[3]))) // which no other waits for
	f.claimOf("while the first one waits for its retry")
	f.wantDelivery(waiting, delivery.DeliveryPending, 0, time.Time{})
	rerun := manual(succeeded(f.outcome(first)), delivery.TriggerRerun)
	rerun.Ordered = true
	f.complete(rerun)
	second := f.claimOf("after the first one was run again", ids[2])
	f.complete(f.outcome(&second[0])) // for good
	third := f.claimOf("after the second one failed for good", ids[4])
	o := succeeded(f.outcome(&third[0]))
	f.complete(o, succeeded(f.outcome(&jobs[1])))
	last := f.claimOf("after the third one succeeded", more[0], more[2])
	f.complete(o) // a repetition
	f.claimOf("after a repetition")
	f.complete(succeeded(f.outcome(&last[0])), succeeded(f.outcome(&last[1])))
	again := f.queue(w, 1, 1)
	f.claimOf("with others gone", again[0])
	if n := f.webhookPending(tenant, w.ID); n[0] != 2 {
		f.Errorf("%d are pending, want 2", n[0])
	}
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	f.sweep(retention)
	f.claimOf("when the webhook is gone")
}

// testOrderErased erases events in a queue: its head, before and after it was leased, and one that
// waits. The others go on in their order.
func testOrderErased(f *fixture) {
	w := f.webhook(tenant)
	ids := f.queue(w, 1, 1, 1, 1, 1)
	f.must(f.store.EraseEvent(f.Context(), tenant, ids[0]))
	f.must(f.store.EraseEvent(f.Context(), tenant, ids[2]))
	second := f.claimOf("after the head was erased", ids[1])
	f.must(f.store.EraseEvent(f.Context(), tenant, ids[1]))
	fourth := f.claimOf("after one in flight was erased", ids[3])
	f.complete(succeeded(f.outcome(&second[0])))
	f.claimOf("while the fourth is in flight")
	f.complete(succeeded(f.outcome(&fourth[0])))
	last := f.claimOf("after the fourth", ids[4])
	f.complete(succeeded(f.outcome(&last[0])))
	if n := f.webhookPending(tenant, w.ID); n[0] != 0 {
		f.Errorf("%d are pending", n[0])
	}
}

// testOrderLease has the head of a key be sent again when its lease has ended or is released, and
// nothing else meanwhile, also if the webhook is disabled, slow, or has other targets now.
func testOrderLease(f *fixture) {
	w := f.webhook(tenant)
	ids := f.queue(w, 1, 1, 1)
	room := wideRoom
	room.Lease = ended
	for range 2 {
		claimed := f.claimSome(room)
		if len(claimed.Jobs) != 1 || claimed.Jobs[0].Event.ID != ids[0] {
			f.Fatalf("after the lease has ended, %+v is due", claimed.Jobs)
		}
	}
	job := f.claimOf("after the lease has ended", ids[0])[0]
	f.must(f.store.Release(f.Context(), []delivery.Lease{{Webhook: w.Ref(), EventID: ids[0], LeaseEnd: job.LeaseEnd}}))
	job = f.claimOf("after the lease was released", ids[0])[0]
	o := f.outcome(&job)
	o.Slow = true
	f.complete(o)
	job = f.claimOf("when the webhook is slow", ids[1])[0]
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	f.complete(succeeded(f.outcome(&job)))
	f.claimOf("while the webhook is disabled")
	f.update(w, func(w *delivery.Webhook) { w.Enabled, w.OrderBy = true, "" })
	job = f.claimOf("when it is enabled", ids[2])[0]
	unordered := f.queue(w, 0, 0)
	f.claimOf("without an order", unordered...)
	f.complete(succeeded(f.outcome(&job)))
	f.claimOf("in the end")
}

// testOrderTake cancels deliveries that wait for others, and gives back others that were taken.
func testOrderTake(f *fixture) {
	w := f.webhook(tenant)
	ids := f.queue(w, 1, 1, 1, 1)
	take := func(event uuid.UUID, waits bool) delivery.Job {
		f.Helper()
		job, err := f.store.Take(f.Context(), w.Ref(), event, held)
		f.must(err)
		if job.Waits != waits || !job.Ordered {
			f.Fatalf("took %+v, which waits: %t", job, waits)
		}
		return job
	}
	release := func(job delivery.Job) {
		f.must(f.store.Release(f.Context(), []delivery.Lease{{Webhook: w.Ref(), EventID: job.Event.ID, LeaseEnd: job.LeaseEnd}}))
	}
	head := take(ids[0], false)
	second := take(ids[1], true)
	f.wantTake("what is taken", w.Ref(), ids[1], delivery.ErrInFlight)
	f.claimOf("while the first is taken")
	release(second)
	f.claimOf("after one was given back that waits")
	f.complete(f.outcome(new(take(ids[2], true)))) // it is canceled
	f.claimOf("after one was canceled that waits")
	third := take(ids[1], true)
	f.complete(f.outcome(&head))
	f.claimOf("while the next is taken")
	release(third)
	jobs := f.claimOf("after the first was canceled", ids[1])
	f.complete(succeeded(f.outcome(&jobs[0])))
	jobs = f.claimOf("after the second", ids[3])
	f.complete(succeeded(f.outcome(&jobs[0])))
	f.wantTake("what has ended", w.Ref(), ids[2], delivery.ErrDeliveryEnded)

	ids = f.queue(w, 1, 1, 0)
	for _, d := range f.untried(w.Ref()) {
		if d.Waits != (d.EventID == ids[1]) {
			f.Errorf("%+v waits: %t", d, d.Waits)
		}
	}
	rerun := manual(succeeded(f.outcome(&delivery.Job{Webhook: w, Event: &delivery.Event{
		Tenant: tenant, ID: ids[1], Type: "alert_active", ReceivedAt: f.store.Now(),
	}})), delivery.TriggerRerun)
	f.complete(rerun)
	f.wantTake("one that waited and was run again", w.Ref(), ids[1], delivery.ErrDeliveryEnded)
	f.claimOf("in the end", ids[0], ids[2])
}

// testOrderExpires passes over the deliveries of a key whose events have expired.
func testOrderExpires(f *fixture) {
	w, paused := f.webhook(tenant), f.webhook(tenant)
	for range 3 {
		call := f.call(tenant, inOrder(f.event(w, paused), 1))
		// EventGrace is added to the retention.
		f.must(f.store.Accept(f.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: held, Retention: -delivery.EventGrace})[0].Err)
	}
	last := inOrder(f.event(w, paused), 1)
	f.accept(held, last)
	f.update(paused, func(w *delivery.Webhook) { w.Enabled = false })
	f.claimOf("of a queue whose events have expired", last.ID)
	f.update(paused, func(w *delivery.Webhook) { w.Enabled = true })
	f.claimOf("of another that was disabled", last.ID)
	if n := f.webhookPending(tenant, w.ID, paused.ID); n[0] != 1 || n[1] != 1 {
		f.Errorf("pending are %v, want 1 and 1", n)
	}
}

// testOrderRepeat accepts the same call twice, and others with it.
func testOrderRepeat(f *fixture) {
	w := f.webhook(tenant)
	first := f.call(tenant, inOrder(f.event(w), 1), inOrder(f.event(w), 1))
	second := f.call(tenant, inOrder(f.event(w), 1))
	for _, result := range f.acceptAll(held, first, second, first) {
		f.must(result.Err)
	}
	f.must(f.acceptAll(held, second)[0].Err)
	for _, id := range []uuid.UUID{first.Events[0].ID, first.Events[1].ID, second.Events[0].ID} {
		job := f.claimOf("the next", id)[0]
		f.complete(succeeded(f.outcome(&job)))
	}
	f.claimOf("in the end")
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	call := f.call(tenant, inOrder(f.event(w), 1))
	call.Version--
	if err := f.acceptAll(held, call)[0].Err; !errors.Is(err, delivery.ErrStale) {
		f.Errorf("a call for a webhook that is gone: %v", err)
	}
}
