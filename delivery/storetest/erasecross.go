package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// crossing is an event that is erased while its deliveries are under way, in one of two processes.
type crossing struct {
	*fixture
	stores []delivery.Store
	event  delivery.AcceptEvent
	jobs   []*delivery.Job
	// firsts are of the deliveries that were born leased.
	firsts []delivery.Outcome
}

// EraseCrossed erases events while two processes, or one, claim their deliveries, write the outcomes of
// requests that are in flight, and send some again, at random. All payloads and bodies have the text.
// Erased is called when an event was erased, while others may still be at work, and at the end.
func EraseCrossed(t *testing.T, rounds int, text string, erased func(), stores ...delivery.Store) {
	f := &fixture{T: t, store: stores[0]}
	webhooks := f.webhooks(tenant, 4)
	for range rounds {
		c := &crossing{fixture: f, stores: stores, event: f.event(webhooks...)}
		c.event.Payload = fmt.Appendf(nil, "{%q:%d}", text, f.made)
		for i := range c.event.Targets {
			c.event.Targets[i].Lease = i != 3 // which is claimed
		}
		c.accepted(f.accept(held, c.event), webhooks, text)
		c.cross(text, erased)
		erased()
		c.wantNoBody()
	}
}

// accepted notes what is in flight, and has one delivery have a request with a body.
func (c *crossing) accepted(result delivery.Accepted, webhooks []*delivery.Webhook, text string) {
	for i, w := range webhooks {
		job := &delivery.Job{Webhook: w, Attempt: 1, LeaseEnd: result.LeaseEnd, Event: &delivery.Event{
			Tenant: tenant, ID: c.event.ID, Type: c.event.Type, OccurredAt: c.event.OccurredAt, ReceivedAt: result.At,
		}}
		c.jobs = append(c.jobs, job)
		if i < 3 {
			c.firsts = append(c.firsts, c.says(c.outcome(job), text))
		}
	}
	c.firsts[0] = c.says(succeeded(c.firsts[0]), text)
	c.firsts[1] = retried(c.firsts[1], c.store.Now())
	c.complete(c.firsts[2])
}

// says gives an outcome a body that has the text.
func (c *crossing) says(o delivery.Outcome, text string) delivery.Outcome {
	o.Request.ResponseBody = "9:" + text + o.Request.ID.String() // with what a transform made
	o.Request.Transformed = true
	return o
}

// cross does all at the same time, each after a random while.
func (c *crossing) cross(text string, erased func()) {
	var group sync.WaitGroup
	at := func(store int, do func(delivery.Store) error) {
		wait := time.Duration(rand.IntN(3000)) * time.Microsecond
		group.Go(func() {
			time.Sleep(wait)
			if err := do(c.stores[store%len(c.stores)]); err != nil {
				c.Error(err)
			}
		})
	}
	complete := func(o delivery.Outcome) func(delivery.Store) error {
		return func(s delivery.Store) error { return errors.Join(s.Complete(c.Context(), []delivery.Outcome{o})...) }
	}
	at(rand.IntN(2), func(s delivery.Store) error {
		err := s.EraseEvent(c.Context(), tenant, c.event.ID)
		erased()
		return err
	})
	for i := range 2 {
		at(i, complete(c.firsts[i]))
		at(i+1, complete(c.firsts[i])) // again, as after a timeout
		at(i, complete(c.says(manual(c.outcome(c.jobs[2*i]), delivery.TriggerRerun), text)))
		at(i, func(s delivery.Store) error { return c.claimed(s, text) })
	}
	group.Wait()
}

// claimed claims what is due, and writes the outcomes.
func (c *crossing) claimed(s delivery.Store, text string) error {
	for range 3 {
		for partition := range s.Partitions() {
			claimed, err := s.Claim(c.Context(), partition, wideRoom)
			if err != nil {
				return err
			}
			var outcomes []delivery.Outcome
			for i := range claimed.Jobs {
				outcomes = append(outcomes, c.says(retried(c.outcome(&claimed.Jobs[i]), s.Now()), text))
			}
			if err := errors.Join(s.Complete(c.Context(), outcomes)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// wantNoBody checks the event's rows, and that its id is taken.
func (c *crossing) wantNoBody() {
	var last uuid.UUID
	rows := c.pages(tenant, delivery.RequestFilter{EventID: c.event.ID, Limit: 100})
	for i := range rows {
		last = rows[i].ID
		if r := c.request(tenant, last); r.ResponseBody != "" || r.RequestBody != nil {
			c.Errorf("a row has the bodies %q, %q", r.ResponseBody, r.RequestBody)
		}
	}
	if len(rows) < 3 {
		c.Fatalf("there are %d rows", len(rows))
	}
	if _, event, err := c.store.Resend(c.Context(), tenant, last); err != nil || event != nil {
		c.Errorf("%+v can be sent again: %v", event, err)
	}
	if r := c.acceptAll(held, c.call(tenant, c.event))[0]; r.Err != nil || !r.Events[0].Duplicate {
		c.Errorf("an event with the same id: %+v", r)
	}
	c.nothingDue()
}
