package storetest

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// sweep sweeps until there is nothing more to do.
func (f *fixture) sweep(retention time.Duration) (steps int) {
	f.Helper()
	for {
		more, err := f.store.Sweep(f.Context(), retention)
		f.must(err)
		steps++
		if !more {
			return steps
		}
		if steps > 100_000 {
			f.Fatal("sweeping does not end")
		}
	}
}

// aged writes rows that began at the given ages.
func (f *fixture) aged(w *delivery.Webhook, ages ...time.Duration) []uuid.UUID {
	f.Helper()
	var ids []uuid.UUID
	for _, age := range ages {
		o := f.outcome(f.bornLeased(w, held))
		o.Request.ID = delivery.NewID(f.store.Now().Add(-age))
		f.complete(o)
		ids = append(ids, o.Request.ID)
	}
	return ids
}

func testSweepRetention(f *fixture) {
	if steps := f.sweep(time.Hour); steps > 1 {
		f.Errorf("sweeping an empty store took %d steps", steps)
	}
	w := f.webhook(tenant)
	const day = 24 * time.Hour
	// A store may drop whole hours, so that a row stays for up to an hour longer.
	old := f.aged(w, 14*day+2*time.Hour, 15*day, 100*day, 300*day)
	kept := f.aged(w, 0, time.Hour, 13*day, 14*day-time.Minute)
	f.sweep(retention)
	if rows := f.pages(tenant, delivery.RequestFilter{Limit: 3}); len(rows) != len(old)+len(kept) {
		f.Errorf("%d rows are left within the retention, want %d", len(rows), len(old)+len(kept))
	}
	f.sweep(14 * day)
	for _, id := range old {
		if _, err := f.store.Request(f.Context(), tenant, id); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("a row past the retention: %v", err)
		}
	}
	for _, id := range kept {
		f.request(tenant, id)
	}
	for _, filter := range []delivery.RequestFilter{{Limit: 2}, {WebhookID: w.ID, Limit: 2}, {EventType: "alert_active", Limit: 2}} {
		if rows := f.pages(tenant, filter); len(rows) != len(kept) {
			f.Errorf("%s chooses %d rows, want %d", describe(&filter), len(rows), len(kept))
		}
	}
	if steps := f.sweep(14 * day); steps > 1 {
		f.Errorf("sweeping when all is done took %d steps", steps)
	}
}

func testSweepDeleted(f *fixture) {
	w, other := f.webhook(tenant), f.webhook(tenant)
	const rows = 2500 // more than one step removes
	outcomes := make([]delivery.Outcome, 0, rows+1)
	job, waiting := f.bornLeased(w, held), f.event(w)
	f.accept(held, waiting)
	for i := range rows {
		o := manual(f.outcome(job), delivery.TriggerRerun)
		o.Request.ID = delivery.NewID(f.store.Now().Add(-time.Duration(i%3) * 24 * time.Hour))
		outcomes = append(outcomes, o)
	}
	outcomes = append(outcomes, f.outcome(f.bornLeased(other, held)))
	f.complete(outcomes...)

	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	check := func(when string) {
		f.Helper()
		for _, filter := range []delivery.RequestFilter{{Limit: 100}, {Status: delivery.RequestFailed, Limit: 100}} {
			got := f.pages(tenant, filter)
			if len(got) != 1 || got[0].WebhookID != other.ID {
				f.Errorf("%s: %s chooses %d rows, want 1", when, describe(&filter), len(got))
			}
		}
		for _, filter := range []delivery.RequestFilter{{WebhookID: w.ID, Limit: 100}, {EventID: waiting.ID, Limit: 100}, {EventID: job.Event.ID, Limit: 100}} {
			if got := f.pages(tenant, filter); len(got) > 0 {
				f.Errorf("%s: %s chooses %d rows, want none", when, describe(&filter), len(got))
			}
		}
		if _, err := f.store.Request(f.Context(), tenant, outcomes[0].Request.ID); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("%s: the deleted webhook's request: %v", when, err)
		}
	}
	check("before the sweep")
	more, err := f.store.Sweep(f.Context(), retention)
	f.must(err)
	if more {
		check("after a step")
	}
	f.sweep(retention)
	check("after the sweep")
	f.nothingDue()
}

// testSweepBetween removes the rows of a deleted webhook that are between those of another
// one, with the same type and status.
func testSweepBetween(f *fixture) {
	w, other := f.webhook(tenant), f.webhook(tenant)
	job, kept := f.bornLeased(w, held), f.bornLeased(other, held)
	outcomes := make([]delivery.Outcome, 0, 1002)
	row := func(of *delivery.Job, age time.Duration) {
		o := manual(f.outcome(of), delivery.TriggerRerun)
		o.Request.ID = delivery.NewID(f.store.Now().Add(-age))
		outcomes = append(outcomes, o)
	}
	row(kept, time.Hour)
	for i := range 1000 {
		row(job, time.Duration(i)*time.Second)
	}
	row(kept, 0)
	f.complete(outcomes...)
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	f.sweep(retention)
	if rows := f.pages(tenant, delivery.RequestFilter{Limit: 10}); len(rows) != 2 {
		f.Errorf("%d rows are left, want 2", len(rows))
	}
}

// testSweepPaused drops deliveries of a disabled webhook once their events have expired.
func testSweepPaused(f *fixture) {
	w, other := f.webhook(tenant), f.webhook(tenant)
	f.accept(held, f.event(w, other), f.event(w))
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	f.accept(held, f.event(w))
	pending := func() int64 {
		all, err := f.store.WebhookPending(f.Context(), tenant, []uuid.UUID{w.ID})
		f.must(err)
		return all[0]
	}
	f.sweep(time.Hour)
	if n := pending(); n != 3 {
		f.Errorf("%d pending within the retention, want 3", n)
	}
	f.sweep(-delivery.EventGrace - time.Minute) // as if some hours later
	if n := pending(); n != 0 {
		f.Errorf("%d pending after the retention, want none", n)
	}
	f.update(w, func(w *delivery.Webhook) { w.Enabled = true })
	waiting := f.event(w)
	f.accept(held, waiting)
	claimed := false
	for _, job := range f.drain(wideRoom) {
		if job.Webhook.ID == w.ID && job.Event.ID != waiting.ID {
			f.Errorf("event %s is due again", job.Event.ID)
		}
		claimed = claimed || job.Webhook.ID == w.ID && job.Event.ID == waiting.ID
	}
	if !claimed {
		f.Error("nothing is due since it is enabled again")
	}
	// Nothing is left of a webhook that was deleted meanwhile.
	f.accept(held, f.event(w))
	f.update(w, func(w *delivery.Webhook) { w.Enabled = false })
	f.must(f.store.DeleteWebhook(f.Context(), w.Ref()))
	f.sweep(-delivery.EventGrace - time.Minute)
	f.nothingDue()
}

// testSweepShortened shortens the retention after events were accepted: they must be gone,
// delivered or not, and their ids free.
func testSweepShortened(f *fixture) {
	w := f.webhook(tenant)
	job, waiting := f.bornLeased(w, held), f.event(w)
	o := succeeded(f.outcome(job))
	f.complete(o)
	f.accept(held, waiting)
	f.sweep(-4 * time.Hour) // as if hours later
	for _, id := range []uuid.UUID{job.Event.ID, waiting.ID} {
		if _, _, err := f.store.Event(f.Context(), tenant, id); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("an event past the retention: %v", err)
		}
	}
	if rows := f.pages(tenant, delivery.RequestFilter{EventID: job.Event.ID, Limit: 10}); len(rows) > 0 {
		f.Errorf("it has %d rows", len(rows))
	}
	f.nothingDue()
	again := f.event(w)
	again.ID = job.Event.ID
	if result := f.accept(held, again); result.Events[0].Duplicate || result.Events[0].Repeated {
		f.Errorf("its id is taken: %+v", result)
	}
}
