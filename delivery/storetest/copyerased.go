package storetest

import (
	"testing"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// testCopyErased copies an event that was erased, and one that is erased in the copy, before and after
// its requests are copied: no copy brings a body back, and both ids stay taken.
func testCopyErased(t *testing.T, from, to delivery.Copyable) {
	source, target := &fixture{T: t, store: from}, &fixture{T: t, store: to}
	w := source.webhook(tenant)
	erased, later := source.bornLeased(w, held), source.bornLeased(w, held)
	var rows []uuid.UUID
	for _, job := range []*delivery.Job{erased, later} {
		for _, o := range []delivery.Outcome{succeededWithBody(source.outcome(job)), manual(source.outcome(job), delivery.TriggerRerun)} {
			source.complete(o)
			rows = append(rows, o.Request.ID)
		}
	}
	source.must(from.EraseEvent(t.Context(), tenant, erased.Event.ID))
	for batch, err := range from.Export(t.Context()) {
		source.must(err)
		part := *batch
		part.Requests = nil
		_, err = to.Import(t.Context(), &part)
		source.must(err)
	}
	target.must(to.EraseEvent(t.Context(), tenant, later.Event.ID))
	for range 2 {
		source.copy(from, to)
		for _, id := range rows {
			if r := target.request(tenant, id); r.ResponseBody != "" || r.RequestBody != nil {
				t.Errorf("the copy of a row has the bodies %q, %q", r.ResponseBody, r.RequestBody)
			}
		}
		target.must(to.EraseEvent(t.Context(), tenant, later.Event.ID))
	}
	for _, job := range []*delivery.Job{erased, later} {
		e, _, err := to.Event(t.Context(), tenant, job.Event.ID)
		target.must(err)
		if !e.Erased || e.Payload != nil {
			t.Errorf("the copy is %+v", e)
		}
		again := target.event(w)
		again.ID = job.Event.ID
		if r := target.acceptAll(held, target.call(tenant, again))[0]; r.Err != nil || !r.Events[0].Duplicate {
			t.Errorf("an event with the same id: %+v", r)
		}
	}
	target.nothingDue()
}
