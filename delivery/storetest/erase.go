package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// erasedScene is an event with deliveries that stand in each way.
type erasedScene struct {
	*fixture
	event                            delivery.AcceptEvent
	failed, retrying, flying, paused *delivery.Webhook
	inFlight                         *delivery.Job
	rows                             []uuid.UUID
}

func newErasedScene(f *fixture) *erasedScene {
	f.Helper()
	s := &erasedScene{fixture: f, failed: f.webhook(tenant), retrying: f.webhook(tenant), flying: f.webhook(tenant), paused: f.webhook(tenant)}
	waiting := f.webhook(tenant)
	s.event = f.event(s.failed, s.retrying, s.flying, waiting, s.paused)
	for i := range 3 {
		s.event.Targets[i].Lease = true
	}
	result := f.accept(held, s.event)
	job := func(w *delivery.Webhook) *delivery.Job {
		return &delivery.Job{Webhook: w, Attempt: 1, LeaseEnd: result.LeaseEnd, Event: &delivery.Event{
			Tenant: tenant, ID: s.event.ID, Type: s.event.Type, OccurredAt: s.event.OccurredAt, ReceivedAt: result.At,
		}}
	}
	s.inFlight = job(s.flying)
	for _, o := range []delivery.Outcome{
		f.outcome(job(s.failed)), retried(f.outcome(job(s.retrying)), f.store.Now().Add(held)),
		manual(f.outcome(job(s.failed)), delivery.TriggerRerun), manual(f.outcome(job(s.failed)), delivery.TriggerRerun),
	} {
		f.complete(o)
		s.rows = append(s.rows, o.Request.ID)
	}
	f.update(s.paused, func(w *delivery.Webhook) { w.Enabled = false })
	return s
}

// wantErased checks that nothing is left of what the event carried, and that its rows are.
func (s *erasedScene) wantErased() {
	s.Helper()
	e, deliveries, err := s.store.Event(s.Context(), tenant, s.event.ID)
	s.must(err)
	if !e.Erased || e.Payload != nil || e.Type != s.event.Type || !e.OccurredAt.Equal(s.event.OccurredAt) {
		s.Errorf("the event is %+v", e)
	}
	for _, d := range deliveries {
		if d.Status != delivery.DeliveryFailed || !d.NextAttemptAt.IsZero() || d.WebhookID != s.failed.ID && d.WebhookID != s.retrying.ID {
			s.Errorf("there is a delivery %+v", d)
		}
	}
	if len(deliveries) != 2 {
		s.Errorf("there are %d deliveries, want those that were attempted", len(deliveries))
	}
	page, err := s.store.Requests(s.Context(), tenant, delivery.RequestFilter{EventID: s.event.ID, Limit: 100})
	s.must(err)
	got, want := ids(page.Requests), slices.Clone(s.rows)
	sortIDs(got)
	if sortIDs(want); !slices.Equal(got, want) {
		s.Errorf("there are the rows %v, want %v", got, want)
	}
	for _, id := range s.rows {
		if r := s.request(tenant, id); r.ResponseBody != "" || r.RequestBody != nil {
			s.Errorf("a row has the bodies %q, %q", r.ResponseBody, r.RequestBody)
		}
		if _, event, err := s.store.Resend(s.Context(), tenant, id); err != nil || event != nil {
			s.Errorf("%+v can be sent again: %v", event, err)
		}
	}
}

// testErase erases an event whose deliveries stand in each way, and one of which is in flight.
func testErase(f *fixture) {
	s := newErasedScene(f)
	other := f.event(s.flying)
	f.accept(held, other)
	f.must(f.store.EraseEvent(f.Context(), tenant, s.event.ID))
	s.wantErased()

	f.complete(succeededWithBody(f.outcome(s.inFlight)))
	late := f.outcome(s.inFlight)
	late.Request.ID = delivery.NewID(s.inFlight.Event.ReceivedAt.Add(time.Second))
	f.complete(late)
	page, err := f.store.Requests(f.Context(), tenant, delivery.RequestFilter{EventID: s.event.ID, WebhookID: s.flying.ID, Limit: 10})
	f.must(err)
	if len(page.Requests) != 2 {
		f.Fatalf("%d requests were in flight, want 2", len(page.Requests))
	}
	s.rows = append(s.rows, ids(page.Requests)...)
	again := manual(f.outcome(s.inFlight), delivery.TriggerRerun)
	again.Request.WebhookID = s.failed.ID
	f.complete(again)
	s.rows = append(s.rows, again.Request.ID)
	s.wantErased()

	f.update(s.paused, func(w *delivery.Webhook) { w.Enabled = true })
	if jobs := f.drain(wideRoom); len(jobs) != 1 || jobs[0].Event.ID != other.ID || jobs[0].Event.Erased || len(jobs[0].Event.Payload) == 0 {
		f.Errorf("%d deliveries are due, want that of another event", len(jobs))
	}
	if n, err := f.store.Pending(f.Context()); err != nil || n != 1 {
		f.Errorf("%d deliveries are pending, %v, want 1", n, err)
	}
	f.must(f.store.Release(f.Context(), []delivery.Lease{{Webhook: s.flying.Ref(), EventID: s.event.ID, LeaseEnd: s.inFlight.LeaseEnd}}))
	f.nothingDue()
	f.must(f.store.EraseEvent(f.Context(), tenant, s.event.ID))
	s.wantErased()

	call := f.call(tenant, s.event)
	if r := f.acceptAll(held, call)[0]; r.Err != nil || !r.Events[0].Duplicate {
		f.Errorf("an event with the same id: %+v", r)
	}
	for of, id := range map[string]uuid.UUID{tenant: uuid.New(), "other": s.event.ID} {
		if err := f.store.EraseEvent(f.Context(), of, id); !errors.Is(err, delivery.ErrNotFound) {
			f.Errorf("an event that is not there: %v", err)
		}
	}
	var listed bool
	for _, e := range f.eventList(tenant, delivery.EventFilter{Limit: 10}) {
		listed = listed || e.ID == s.event.ID && e.Deliveries == 5
	}
	if !listed {
		f.Error("the event is not in the list")
	}
}

// succeededWithBody makes an outcome a success that has a body.
func succeededWithBody(o delivery.Outcome) delivery.Outcome {
	o = succeeded(o)
	o.Request.ResponseBody = "thanks"
	return o
}

// testEraseKinds erases events that are stored in other ways: with an id of the emitter's, without
// deliveries, a test, and one with many requests.
func testEraseKinds(f *fixture) {
	w := f.webhook(tenant)
	chosen, none, test := f.event(w), f.event(), f.event(w)
	chosen.ID, test.Test = uuid.New(), true
	result := f.accept(held, leased(chosen), none, test)
	job := &delivery.Job{Webhook: w, Attempt: 1, LeaseEnd: result.LeaseEnd, Event: &delivery.Event{
		Tenant: tenant, ID: chosen.ID, Type: chosen.Type, OccurredAt: chosen.OccurredAt, ReceivedAt: result.At,
	}}
	f.complete(succeededWithBody(f.outcome(job)))
	for range 450 {
		o := manual(f.outcome(job), delivery.TriggerRerun)
		o.Request.ID = delivery.NewID(f.store.Now())
		f.complete(o)
	}
	for _, id := range []uuid.UUID{chosen.ID, none.ID, test.ID} {
		f.must(f.store.EraseEvent(f.Context(), tenant, id))
		if e, _, err := f.store.Event(f.Context(), tenant, id); err != nil || !e.Erased || e.Payload != nil {
			f.Errorf("the event is %+v, %v", e, err)
		}
	}
	rows := f.pages(tenant, delivery.RequestFilter{EventID: chosen.ID, Limit: 200})
	if len(rows) < 450 {
		f.Fatalf("there are %d rows", len(rows))
	}
	for i := range rows {
		if r := f.request(tenant, rows[i].ID); r.ResponseBody != "" || r.RequestBody != nil {
			f.Fatalf("row %d of %d has the bodies %q, %q", i, len(rows), r.ResponseBody, r.RequestBody)
		}
	}
}

// eraseOne erases one of the events.
func (r *randomRun) eraseOne() {
	if len(r.events) == 0 {
		return
	}
	key := r.events[r.rand.IntN(len(r.events))]
	r.must(r.store.EraseEvent(r.Context(), key.tenant, key.id))
	r.model.erase(key)
}

func (m *model) erase(key eventKey) {
	e := m.events[key]
	e.Payload, e.Erased = nil, true
	for _, d := range e.deliveries {
		if d.due = unscheduled; d.Status == delivery.DeliveryPending {
			if d.NextAttemptAt = (time.Time{}); d.Attempts > 0 {
				d.Status = delivery.DeliveryFailed
			}
		}
	}
}

// compareErased checks that the requests of an erased event have no bodies.
func (r *randomRun) compareErased(key eventKey) {
	for id, row := range r.model.rows {
		if row.Tenant != key.tenant || row.EventID != key.id {
			continue
		}
		if got := r.request(row.Tenant, id); got.ResponseBody != "" || got.RequestBody != nil {
			r.Fatalf("a row of an erased event has the bodies %q, %q", got.ResponseBody, got.RequestBody)
		}
	}
}
