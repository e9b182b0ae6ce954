package storetest

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// model is what a store should have, in the simplest form.
type model struct {
	webhooks map[delivery.WebhookRef]*delivery.Webhook
	slow     map[delivery.WebhookRef]bool
	versions map[string]int64
	places   int // how many deliveries were accepted
	events   map[eventKey]*modelEvent
	arrived  []eventKey // in their order
	rows     map[uuid.UUID]delivery.Request
	tallies  map[string]tallies // by tenant
	audits   map[string][]*delivery.AuditEntry
}

type eventKey struct {
	tenant string
	id     uuid.UUID
}

type modelEvent struct {
	delivery.Event
	nonce      uuid.UUID
	place      int
	test       bool
	deliveries map[uuid.UUID]*modelDelivery
	added      int // how many of them were added later
}

// modelDelivery is a delivery; due is when it falls due or its lease ends, or
// one of the values below.
type modelDelivery struct {
	delivery.Delivery
	due  int64
	last uuid.UUID // request
	// order is its key, and place its place among all deliveries.
	order delivery.OrderKey
	place int
}

const (
	unscheduled = 0
	// dueAtOnce is a due time that the test cannot know, and that is not the end of a
	// lease.
	dueAtOnce = -1
)

func newModel() *model {
	return &model{
		webhooks: make(map[delivery.WebhookRef]*delivery.Webhook),
		slow:     make(map[delivery.WebhookRef]bool),
		versions: make(map[string]int64),
		events:   make(map[eventKey]*modelEvent),
		rows:     make(map[uuid.UUID]delivery.Request),
		tallies:  make(map[string]tallies),
		audits:   make(map[string][]*delivery.AuditEntry),
	}
}

func (m *model) delivery(ref delivery.WebhookRef, event uuid.UUID) (*modelEvent, *modelDelivery) {
	e := m.events[eventKey{ref.Tenant, event}]
	if e == nil || m.webhooks[ref] == nil {
		return e, nil
	}
	return e, e.deliveries[ref.ID]
}

// whole reports whether all webhooks of an event still exist, and none were added.
func (m *model) whole(tenant string, id uuid.UUID) bool {
	if m.events[eventKey{tenant, id}].added > 0 {
		return false
	}
	for webhook := range m.events[eventKey{tenant, id}].deliveries {
		if m.webhooks[delivery.WebhookRef{Tenant: tenant, ID: webhook}] == nil {
			return false
		}
	}
	return true
}

// accept accepts a call that was not stale, and returns what the result should be.
func (m *model) accept(call *delivery.AcceptCall, at time.Time, leaseEnd int64) (events []delivery.AcceptedEvent, unleased map[uuid.UUID]bool) {
	unleased = make(map[uuid.UUID]bool)
	for i := range call.Events {
		e := &call.Events[i]
		key := eventKey{call.Tenant, e.ID}
		if known := m.events[key]; known != nil {
			if known.nonce == call.Nonce && known.place == i {
				events = append(events, delivery.AcceptedEvent{Repeated: true, Deliveries: len(known.deliveries)})
			} else {
				events = append(events, delivery.AcceptedEvent{Duplicate: true})
			}
			continue
		}
		made := &modelEvent{
			Event: delivery.Event{
				Tenant: call.Tenant, ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt,
				ReceivedAt: at, Payload: e.Payload,
			},
			nonce: call.Nonce, place: i, test: e.Test,
			deliveries: make(map[uuid.UUID]*modelDelivery),
		}
		for _, target := range e.Targets {
			d := &modelDelivery{Delivery: delivery.Delivery{WebhookID: target.Webhook, Status: delivery.DeliveryPending}}
			ref := delivery.WebhookRef{Tenant: call.Tenant, ID: target.Webhook}
			waits := m.slow[ref] || m.webhooks[ref] != nil && m.webhooks[ref].RateLimit != nil
			if !e.Test {
				d.NextAttemptAt = at
				d.due = at.UnixMilli()
				m.places++
				d.order, d.place = target.Order, m.places
				if m.waits(delivery.WebhookRef{Tenant: call.Tenant, ID: target.Webhook}, d) {
					d.due = dueAtOnce // when it is the head
				}
				if target.Lease && waits {
					unleased[target.Webhook] = true
				} else if target.Lease {
					d.due = leaseEnd
				}
			}
			made.deliveries[target.Webhook] = d
		}
		m.events[key] = made
		m.arrived = append(m.arrived, key)
		events = append(events, delivery.AcceptedEvent{Deliveries: len(made.deliveries)})
	}
	return events, unleased
}

// waits reports whether a delivery is not the head of its order key.
func (m *model) waits(ref delivery.WebhookRef, d *modelDelivery) bool {
	if d.order == (delivery.OrderKey{}) || d.due == unscheduled {
		return false
	}
	for key, e := range m.events {
		other := e.deliveries[ref.ID]
		if key.tenant == ref.Tenant && other != nil && other.due != unscheduled && other.order == d.order && other.place < d.place {
			return true
		}
	}
	return false
}

// next is when the next attempt of a delivery is due.
func (m *model) next(ref delivery.WebhookRef, d *modelDelivery) time.Time {
	if m.waits(ref, d) {
		return time.Time{}
	}
	return d.NextAttemptAt
}

// dueNow counts the due deliveries of each enabled webhook.
func (m *model) dueNow(now int64) map[delivery.WebhookRef]int {
	due := make(map[delivery.WebhookRef]int)
	for key, e := range m.events {
		for id, d := range e.deliveries {
			ref := delivery.WebhookRef{Tenant: key.tenant, ID: id}
			if w := m.webhooks[ref]; w != nil && w.Enabled && d.due != unscheduled && d.due <= now && !m.waits(ref, d) {
				due[ref]++
			}
		}
	}
	return due
}

// pending counts the deliveries on the schedule, including paused ones.
func (m *model) pending() int64 {
	n := int64(0)
	for ref := range m.webhooks {
		n += m.pendingOf(ref)
	}
	return n
}

// pendingOf counts the pending deliveries of one webhook.
func (m *model) pendingOf(ref delivery.WebhookRef) int64 {
	n := int64(0)
	for key := range m.events {
		if _, d := m.delivery(ref, key.id); key.tenant == ref.Tenant && d != nil && d.due != unscheduled {
			n++
		}
	}
	return n
}

// webhookRequests counts the requests to a webhook.
func (m *model) webhookRequests(ref delivery.WebhookRef, since time.Time) delivery.WebhookRequests {
	var all delivery.WebhookRequests
	for _, id := range slices.SortedFunc(maps.Keys(m.rows), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		row := m.rows[id]
		if row.Tenant != ref.Tenant || row.WebhookID != ref.ID {
			continue
		}
		all.LastAt = row.StartedAt()
		if hour := all.LastAt.Truncate(time.Hour); !hour.Before(since.Truncate(time.Hour)) {
			all.Add(hour, row.Status, 1)
		}
	}
	return all
}

func (m *model) complete(o *delivery.Outcome) {
	ref := delivery.WebhookRef{Tenant: o.Request.Tenant, ID: o.Request.WebhookID}
	if _, written := m.rows[o.Request.ID]; written || m.webhooks[ref] == nil {
		return
	}
	success := o.Request.Status == delivery.RequestSuccess
	if o.Slow {
		m.slow[ref] = true
	}
	if success {
		m.slow[ref] = false
	}
	row := o.Request
	_, d := m.delivery(ref, o.Request.EventID)
	d.last = row.ID
	switch holds := d.due == o.LeaseEnd && o.LeaseEnd != 0; {
	case holds && success:
		d.end(delivery.DeliverySuccess)
		d.Attempts = o.Request.Attempt
	case holds && !o.RetryAt.IsZero():
		d.due = o.RetryAt.UnixMilli()
		d.Attempts, d.NextAttemptAt = o.Request.Attempt, o.RetryAt
		row.NextAttemptAt = o.RetryAt
	case holds:
		d.end(delivery.DeliveryFailed)
		d.Attempts = o.Request.Attempt
	case o.LeaseEnd != 0: // the lease was lost
	case success:
		d.end(delivery.DeliverySuccess)
	case o.Request.Trigger == delivery.TriggerTest:
		d.Status, d.NextAttemptAt = delivery.DeliveryFailed, time.Time{}
	}
	m.rows[row.ID] = row
	m.count(&row)
}

func (m *model) count(r *delivery.Request) {
	if m.tallies[r.Tenant] == nil {
		m.tallies[r.Tenant] = make(tallies)
	}
	m.tallies[r.Tenant].add(r)
}

// recount drops what no longer exists from the counts.
func (m *model) recount() {
	clear(m.tallies)
	for _, row := range m.rows {
		m.count(&row)
	}
}

func (d *modelDelivery) end(status delivery.DeliveryStatus) {
	d.due, d.Status, d.NextAttemptAt = unscheduled, status, time.Time{}
}

func (m *model) remove(ref delivery.WebhookRef) {
	delete(m.webhooks, ref)
	delete(m.slow, ref)
	for id, row := range m.rows {
		if row.WebhookID == ref.ID {
			delete(m.rows, id)
		}
	}
}
