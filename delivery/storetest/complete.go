package storetest

import (
	"errors"
	"reflect"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func testAttempts(f *fixture) {
	w := f.webhook(tenant)
	job := f.bornLeased(w, held)
	f.wantDelivery(job, delivery.DeliveryPending, 0, job.Event.ReceivedAt)

	later := f.store.Now().Add(time.Hour)
	first := retried(f.outcome(job), later)
	f.complete(first)
	f.wantDelivery(job, delivery.DeliveryPending, 1, later)
	if got := f.request(tenant, first.Request.ID).NextAttemptAt; !sameTime(got, later) {
		f.Errorf("the row's next attempt is at %s, want %s", got, later)
	}
	f.nothingDue()

	// The second attempt fails, too, and the third is the last one.
	job = f.bornLeased(w, held)
	past := f.store.Now().Add(-time.Second)
	f.complete(retried(f.outcome(job), past))
	second := f.claimSome(wideRoom).Jobs[0]
	if second.Attempt != 2 || second.Event.ID != job.Event.ID {
		f.Fatalf("claimed %+v, want the second attempt", second)
	}
	f.complete(retried(f.outcome(&second), past))
	third := f.claimSome(wideRoom).Jobs[0]
	last := f.outcome(&third)
	f.complete(last)
	f.wantDelivery(job, delivery.DeliveryFailed, 3, time.Time{})
	if got := f.request(tenant, last.Request.ID).NextAttemptAt; !got.IsZero() {
		f.Errorf("after the last attempt the next is at %s", got)
	}
	f.nothingDue()

	job = f.bornLeased(w, held)
	f.complete(succeeded(f.outcome(job)))
	f.wantDelivery(job, delivery.DeliverySuccess, 1, time.Time{})
	f.nothingDue()
	f.must(errors.Join(f.store.Complete(f.Context(), nil)...))
}

func testCompleteRepeated(f *fixture) {
	w := f.webhook(tenant)
	job := f.bornLeased(w, held)
	past := f.store.Now().Add(-time.Second)
	o := retried(f.outcome(job), past)
	f.complete(o, o)
	second := f.claimSome(wideRoom).Jobs[0]
	f.complete(o)
	f.wantDelivery(job, delivery.DeliveryPending, 1, past)
	f.nothingDue()
	f.complete(succeeded(f.outcome(&second)))
	f.complete(o)
	f.wantDelivery(job, delivery.DeliverySuccess, 2, time.Time{})
	if rows := f.pages(tenant, delivery.RequestFilter{Limit: 10}); len(rows) != 2 {
		f.Errorf("%d rows, want 2", len(rows))
	}
}

func testLeaseLost(f *fixture) {
	w := f.webhook(tenant)
	job := f.bornLeased(w, ended)
	taken := f.claimSome(wideRoom).Jobs[0]
	lost := retried(f.outcome(job), f.store.Now().Add(-time.Second))
	f.complete(lost)
	f.wantDelivery(job, delivery.DeliveryPending, 0, job.Event.ReceivedAt)
	f.nothingDue()
	if r := f.request(tenant, lost.Request.ID); !r.NextAttemptAt.IsZero() {
		f.Errorf("a request whose lease was lost has a next attempt, at %s", r.NextAttemptAt)
	}
	f.complete(f.outcome(&taken))
	f.wantDelivery(job, delivery.DeliveryFailed, 1, time.Time{})
	// A late success is only logged.
	f.complete(succeeded(f.outcome(job)))
	f.wantDelivery(job, delivery.DeliveryFailed, 1, time.Time{})
	rows := f.pages(tenant, delivery.RequestFilter{EventID: job.Event.ID, Limit: 2})
	if len(rows) != 3 {
		f.Errorf("%d rows, want 3", len(rows))
	}
}

func testRerun(f *fixture) {
	w := f.webhook(tenant)

	// A re-run that fails does not change the schedule.
	waiting := f.bornLeased(w, held)
	at := f.store.Now().Add(time.Hour)
	f.complete(retried(f.outcome(waiting), at))
	f.complete(manual(f.outcome(waiting), delivery.TriggerRerun))
	f.wantDelivery(waiting, delivery.DeliveryPending, 1, at)
	untried := f.bornLeased(w, held)
	f.complete(manual(f.outcome(untried), delivery.TriggerRerun))
	f.wantDelivery(untried, delivery.DeliveryPending, 0, untried.Event.ReceivedAt)
	f.complete(retried(f.outcome(untried), at)) // it still has its lease
	f.wantDelivery(untried, delivery.DeliveryPending, 1, at)
	f.nothingDue()

	// A re-run that succeeds ends a pending delivery, and makes a failed one a success.
	f.complete(manual(succeeded(f.outcome(waiting)), delivery.TriggerRerun))
	f.wantDelivery(waiting, delivery.DeliverySuccess, 1, time.Time{})
	failed := f.bornLeased(w, held)
	f.complete(f.outcome(failed))
	f.complete(manual(f.outcome(failed), delivery.TriggerRerun))
	f.wantDelivery(failed, delivery.DeliveryFailed, 1, time.Time{})
	f.complete(manual(succeeded(f.outcome(failed)), delivery.TriggerRerun))
	f.wantDelivery(failed, delivery.DeliverySuccess, 1, time.Time{})
	f.complete(manual(f.outcome(failed), delivery.TriggerRerun))
	f.wantDelivery(failed, delivery.DeliverySuccess, 1, time.Time{})

	due := f.event(w)
	result := f.accept(held, due)
	job := &delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: due.ID, Type: due.Type, ReceivedAt: result.At}}
	f.complete(manual(succeeded(f.outcome(job)), delivery.TriggerRerun))
	f.nothingDue()
	f.wantDelivery(job, delivery.DeliverySuccess, 0, time.Time{})
}

func testTestEvent(f *fixture) {
	w := f.webhook(tenant)
	for _, status := range []delivery.DeliveryStatus{delivery.DeliveryFailed, delivery.DeliverySuccess} {
		e := f.event(w)
		e.Test = true
		result := f.accept(held, e)
		job := &delivery.Job{Webhook: w, Event: &delivery.Event{Tenant: tenant, ID: e.ID, Type: e.Type, ReceivedAt: result.At}}
		o := manual(f.outcome(job), delivery.TriggerTest)
		if status == delivery.DeliverySuccess {
			o = succeeded(o)
		}
		f.complete(o)
		f.wantDelivery(job, status, 0, time.Time{})
		f.nothingDue()
	}
}

func testCompleteGone(f *fixture) {
	w, other := f.webhook(tenant), f.webhook(tenant)
	job, kept := f.bornLeased(w, held), f.bornLeased(other, held)
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	dropped, written := f.outcome(job), f.outcome(kept)
	f.complete(dropped, written)
	if _, err := f.store.Request(f.Context(), tenant, dropped.Request.ID); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("the deleted webhook's request: %v", err)
	}
	if rows := f.pages(tenant, delivery.RequestFilter{Limit: 10}); len(rows) != 1 || rows[0].ID != written.Request.ID {
		f.Errorf("the log has %+v, want one row of the other webhook", rows)
	}
	f.must(f.store.Release(f.Context(), []delivery.Lease{{Webhook: w.Ref(), EventID: job.Event.ID, LeaseEnd: job.LeaseEnd}}))
	f.nothingDue()
}

// testRow checks that every field of a request is stored.
func testRow(f *fixture) {
	w := f.webhook(tenant)
	job := f.bornLeased(w, held)
	next := f.store.Now().Add(time.Minute)
	o := retried(f.outcome(job), next)
	o.Request.Trigger = delivery.TriggerRetry
	f.complete(o)

	want := o.Request
	want.NextAttemptAt = time.UnixMilli(next.UnixMilli()).UTC()
	want.RequestBody = job.Event.Payload
	got := f.request(tenant, o.Request.ID)
	if !reflect.DeepEqual(got, &want) {
		f.Errorf("the request is\n%+v, want\n%+v", got, &want)
	}
	if _, err := f.store.Request(f.Context(), "other", want.ID); !errors.Is(err, delivery.ErrNotFound) {
		f.Errorf("another tenant's request: %v", err)
	}
	want.RequestBody, want.ResponseBody = nil, ""
	for _, filter := range []delivery.RequestFilter{{Limit: 1}, {WebhookID: w.ID, Limit: 1}, {EventID: job.Event.ID, Limit: 1}} {
		rows := f.pages(tenant, filter)
		if len(rows) != 1 || !reflect.DeepEqual(rows[0], want) {
			f.Errorf("the rows are\n%+v, want\n%+v", rows, want)
		}
	}
}
