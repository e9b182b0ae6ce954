package storetest

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// untried reads all deliveries of a webhook that have not been attempted, page by page.
func (f *fixture) untried(ref delivery.WebhookRef) (all []delivery.Untried) {
	f.Helper()
	for after, pages := "", 0; ; pages++ {
		page, err := f.store.Untried(f.Context(), ref, after)
		f.must(err)
		if all = append(all, page.Deliveries...); page.Next == "" {
			return all
		}
		if after = page.Next; pages > 1000 {
			f.Fatal("there is no end to the deliveries of a webhook")
		}
	}
}

// testUntried finds deliveries that wait for their first attempt, from any place on, among others
// that do not.
func testUntried(f *fixture) {
	const events = 1300
	w, other := f.webhook(tenant), f.webhook(tenant)
	want := make(map[uuid.UUID]bool)
	for range events / 100 {
		batch := make([]delivery.AcceptEvent, 0, 100)
		for range 100 {
			e := f.event(w, other)
			e.Targets[0].Lease = len(batch)%4 == 0
			batch = append(batch, e)
			want[e.ID] = true
		}
		result := f.acceptAll(held, f.call(tenant, batch...))[0]
		f.must(result.Err)
		var outcomes []delivery.Outcome
		for i := 0; i < 100; i += 8 { // those that were leased have succeeded, or are tried again
			e := &batch[i]
			o := f.outcome(&delivery.Job{Webhook: w, Attempt: 1, LeaseEnd: result.LeaseEnd, Event: &delivery.Event{
				Tenant: tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: result.At,
			}})
			if o = retried(o, f.store.Now().Add(held)); i%16 == 0 {
				o = succeeded(o)
			}
			outcomes = append(outcomes, o)
			delete(want, e.ID)
		}
		f.complete(outcomes...)
	}
	all := f.untried(w.Ref())
	got := make(map[uuid.UUID]bool)
	for i := range all {
		got[all[i].EventID] = true
	}
	if len(all) != len(want) || len(got) != len(want) {
		f.Errorf("%d deliveries of %d events have not been attempted, want %d", len(all), len(got), len(want))
	}
	for id := range want {
		if !got[id] {
			f.Fatalf("event %s is missing", id)
		}
	}
	for _, i := range []int{0, 1, len(all) / 3, len(all) - 1} { // each has a place
		page, err := f.store.Untried(f.Context(), w.Ref(), all[i].Place)
		f.must(err)
		if i == len(all)-1 && len(page.Deliveries) > 0 || i < len(all)-1 && len(page.Deliveries) > 0 && page.Deliveries[0] != all[i+1] {
			f.Errorf("behind delivery %d are %d others, not those of the list", i, len(page.Deliveries))
		}
	}
	if n := len(f.untried(other.Ref())); n != events {
		f.Errorf("another webhook has %d, want %d", n, events)
	}
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	if n := len(f.untried(w.Ref())); n > 0 {
		f.Errorf("a deleted webhook has %d", n)
	}
	if n := len(f.untried(delivery.WebhookRef{Tenant: "other", ID: other.ID})); n > 0 {
		f.Errorf("another tenant has %d", n)
	}
}

// testStanding tells of each request whether it is the last one of its delivery, whatever the id
// of the event is and whenever it came.
func testStanding(f *fixture) {
	w := f.webhook(tenant)
	for _, id := range []uuid.UUID{uuid.Nil, uuid.New(), delivery.NewID(f.store.Now().Add(-8 * 60e9)), delivery.NewID(f.store.Now().Add(-48 * 3600e9))} {
		for _, ends := range []string{"at once", "later", "failed", "retrying"} {
			e := leased(f.event(w))
			if id != uuid.Nil {
				e.ID = id
				e.ID[15] = ends[0] // all are different
			}
			result := f.accept(held, e)
			job := &delivery.Job{Webhook: w, Attempt: 1, LeaseEnd: result.LeaseEnd, Event: &delivery.Event{
				Tenant: tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, ReceivedAt: result.At,
			}}
			first := f.outcome(job)
			want := delivery.Delivery{WebhookID: w.ID, Status: delivery.DeliverySuccess, Attempts: 1}
			switch ends {
			case "later":
				first = succeeded(first)
				first.Request.ID = delivery.NewID(result.At.Add(30e9))
			case "failed":
				want.Status = delivery.DeliveryFailed
			case "retrying":
				first = retried(first, f.store.Now().Add(held))
				want.Status, want.NextAttemptAt = delivery.DeliveryPending, first.RetryAt
			default:
				first = succeeded(first)
			}
			f.complete(first)
			f.wantStanding(fmt.Sprint(ends, " ", e.ID), []delivery.Request{first.Request}, []delivery.Delivery{want})
			again := manual(f.outcome(job), delivery.TriggerRerun)
			f.complete(again)
			f.wantStanding(fmt.Sprint(ends, " and run again ", e.ID), []delivery.Request{again.Request, first.Request}, []delivery.Delivery{want, {}})
		}
	}
	f.wantStanding("none", nil, nil)
}

func (f *fixture) wantStanding(what string, rows []delivery.Request, want []delivery.Delivery) {
	f.Helper()
	got, err := f.store.Standing(f.Context(), tenant, rows)
	f.must(err)
	if !slices.EqualFunc(got, want, sameDelivery) {
		f.Errorf("%s: got\n%+v, want\n%+v", what, got, want)
	}
}

func sameDelivery(a, b delivery.Delivery) bool {
	sameNext := a.Status == delivery.DeliveryPending && a.Attempts == 0 || sameTime(a.NextAttemptAt, b.NextAttemptAt)
	return a.Status == b.Status && a.Attempts == b.Attempts && a.WebhookID == b.WebhookID && sameNext
}

// compareStanding compares how the deliveries of some rows stand.
func (r *randomRun) compareStanding(tenant string, rows []delivery.Request) {
	got, err := r.store.Standing(r.Context(), tenant, rows)
	r.must(err)
	if len(got) != len(rows) {
		r.Fatalf("%d deliveries of %d rows", len(got), len(rows))
	}
	for i := range rows {
		var want delivery.Delivery
		if _, d := r.model.delivery(delivery.WebhookRef{Tenant: tenant, ID: rows[i].WebhookID}, rows[i].EventID); d.last == rows[i].ID {
			want = d.Delivery
		}
		if !sameDelivery(got[i], want) {
			r.Fatalf("request %+v is the last one of %+v, want %+v", rows[i], got[i], want)
		}
	}
}

// compareUntried compares which deliveries of each webhook have not been attempted.
func (r *randomRun) compareUntried() {
	for ref := range r.model.webhooks {
		want, got := make(map[uuid.UUID]string), make(map[uuid.UUID]string)
		for key, e := range r.model.events {
			if _, d := r.model.delivery(ref, key.id); key.tenant == ref.Tenant && d != nil && d.due != unscheduled && d.Attempts == 0 {
				want[key.id] = fmt.Sprint(e.Type, e.ReceivedAt.UnixMilli(), r.model.waits(ref, d))
			}
		}
		for _, d := range r.untried(ref) {
			got[d.EventID] = fmt.Sprint(d.EventType, d.ReceivedAt.UnixMilli(), d.Waits)
		}
		for id := range want {
			if got[id] != want[id] {
				r.Fatalf("the delivery of event %s to %s is %q, want %q", id, ref.ID, got[id], want[id])
			}
		}
		if len(got) != len(want) {
			r.Fatalf("%d deliveries of %s have not been attempted, want %d", len(got), ref.ID, len(want))
		}
	}
}
