package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Accept stores the events of each call and schedules their deliveries.
func (s *Store) Accept(_ context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	results := s.accept(batch)
	if n := len(batch.Calls); n > 1 && errors.Is(results[0].Err, errDamaged) && s.usable() == nil {
		for i := range results { // all but those that need the damaged page
			one := batch
			one.Calls = batch.Calls[i : i+1]
			results[i] = s.accept(one)[0]
		}
	}
	return results
}

func (s *Store) accept(batch delivery.AcceptBatch) []delivery.Accepted {
	results := make([]delivery.Accepted, len(batch.Calls))
	err := s.writer.add(&write{kind: newEvents, do: func(t *txn) (err error) {
		a := acceptance{
			store: s, txn: t,
			expires:  t.at.wall + (batch.Retention + delivery.EventGrace).Milliseconds(),
			leaseEnd: t.at.schedule + batch.Lease.Milliseconds(),
			events:   t.rising(eventsBucket), ids: t.journaled(idsBucket), pending: t.rising(pendingBucket),
		}
		a.makeRoom(batch.Calls)
		for i := range batch.Calls {
			if results[i], err = a.call(&batch.Calls[i]); err != nil {
				return err
			}
		}
		t.committed = append(t.committed, a.schedule)
		return a.writeIDs()
	}})
	if err != nil {
		for i := range results {
			results[i] = delivery.Accepted{Err: err}
		}
	}
	return results
}

// acceptance is one Accept in its transaction.
type acceptance struct {
	store                *Store
	txn                  *txn
	expires, leaseEnd    int64
	events, ids, pending journaled
	// stored are the events to remember, due the deliveries to schedule, once they are on
	// the disk.
	stored  []storedID
	due     []dueDelivery
	ordered []orderedDelivery        // those of them that have order keys
	numbers []byte                   // of an event's webhooks
	made    []byte                   // records of the ids that the engine made
	arrived []byte                   // records of the index of events
	results []delivery.AcceptedEvent // room for those of the calls that are left
}

type storedID struct {
	eventID
	number uint64
}

type dueDelivery struct {
	webhook *webhook
	event   uint64
	due     int64
}

type orderedDelivery struct {
	dueDelivery
	at orderPlace
}

// makeRoom makes room for what is gathered of events.
func (a *acceptance) makeRoom(calls []delivery.AcceptCall) {
	events, made := 0, 0
	for i := range calls {
		for j := range calls[i].Events {
			if events++; calls[i].Events[j].New {
				made++
			}
		}
	}
	a.stored, a.due, a.results = make([]storedID, 0, events), make([]dueDelivery, 0, events), make([]delivery.AcceptedEvent, events)
	a.made, a.arrived = make([]byte, 0, made*packedIDs.size()), make([]byte, 0, events*packedArrived.size())
}

// call stores the events of one call, unless it is stale.
func (a *acceptance) call(c *delivery.AcceptCall) (delivery.Accepted, error) {
	result := delivery.Accepted{At: record.Time(a.txn.at.wall), LeaseEnd: a.leaseEnd}
	if a.store.state.version(c.Tenant) != c.Version {
		result.Err = delivery.ErrStale
		return result, nil
	}
	t, err := a.store.tenant(a.txn, c.Tenant)
	if err != nil {
		return result, err
	}
	n := len(c.Events)
	result.Events, a.results = a.results[:n:n], a.results[n:]
	for i := range c.Events {
		e := &c.Events[i]
		head := eventHead{
			received: a.txn.at.wall, expires: a.expires, nonce: c.Nonce, place: uint16(i),
			deliveries: uint16(len(e.Targets)), tenant: t.number, id: e.ID,
		}
		if !e.New {
			known, err := a.known(&head)
			if err != nil {
				return result, err
			}
			if known != nil {
				result.Events[i] = *known
				continue
			}
		}
		result.Events[i].Deliveries = len(e.Targets)
		if err := a.event(t, &head, e, &result); err != nil {
			return result, err
		}
	}
	return result, nil
}

// known gives the result for an event whose id is in the store, nil if it is not. It forgets
// an id whose event has expired or is lost, so that a new one can have it.
func (a *acceptance) known(h *eventHead) (*delivery.AcceptedEvent, error) {
	number, ok := findEvent(a.ids.bucket, h.tenant, h.id)
	if !ok {
		return nil, nil
	}
	value := a.events.get(number)
	there, ok := isEventHead(value)
	switch {
	case value != nil && !ok:
		a.events.undecodable(number)
		fallthrough
	case value == nil, there.expires <= a.txn.at.wall:
		return nil, removeIDs(a.ids, idKey(h.tenant, h.id))
	case there.nonce == h.nonce && there.place == h.place:
		return &delivery.AcceptedEvent{Repeated: true, Deliveries: int(there.deliveries)}, nil
	default:
		return &delivery.AcceptedEvent{Duplicate: true}, nil
	}
}

// writeIDs writes the ids that the engine made, and the index of events.
func (a *acceptance) writeIDs() error {
	if err := packedIDs.addNew(a.ids, a.made); err != nil {
		return err
	}
	return a.txn.addArrived(a.arrived)
}

// event stores a new event with its deliveries.
func (a *acceptance) event(t *tenant, h *eventHead, e *delivery.AcceptEvent, result *delivery.Accepted) error {
	// By the schedule's clock, since the other one can be set back: then all numbers would be
	// of the same millisecond until it is where it was.
	number := max(a.events.lastNumber()+1, firstNumber(a.txn.at.schedule))
	if err := a.events.setNumber(number); err != nil {
		return err
	}
	a.stored = append(a.stored, storedID{eventID{h.tenant, h.id}, number})
	a.arrived = appendArrivedKey(a.arrived, h.tenant, number)
	if e.New && !a.txn.single {
		a.made = appendIDKey(a.made, h.tenant, h.id)
		a.made[len(a.made)-packedIDs.key] |= madeBit
		a.made = binary.BigEndian.AppendUint64(a.made, number)
	} else if err := a.ids.put(idKey(h.tenant, h.id), number8(number)); err != nil {
		return err
	}
	a.numbers = a.numbers[:0]
	for _, target := range e.Targets {
		w := t.webhooks[target.Webhook]
		if w == nil {
			continue
		}
		a.numbers = binary.BigEndian.AppendUint32(a.numbers, w.number)
		if e.Test {
			continue
		}
		due := dueDelivery{w, number, a.txn.at.schedule}
		if target.Order != (delivery.OrderKey{}) {
			if err := a.inOrder(due, target.Order); err != nil {
				return err
			}
			continue
		}
		if err := a.pending.put(deliveryKey(number, w.number), nil); err != nil {
			return err
		}
		switch {
		case target.Lease && w.record.Enabled && !w.slow && w.record.RateLimit == nil:
			due.due = a.leaseEnd
		case target.Lease && !slices.Contains(result.Unleased, target.Webhook):
			result.Unleased = append(result.Unleased, target.Webhook)
		}
		a.due = append(a.due, due)
	}
	key := number8(number)
	a.txn.scratch = appendEvent(a.txn.scratch[:0], h, a.store.encryption.Event(t.name, e), a.numbers)
	return a.events.put(key, a.txn.scratch)
}

// inOrder stores a delivery that has an order key. Its place is the number of its event.
func (a *acceptance) inOrder(due dueDelivery, key delivery.OrderKey) error {
	a.txn.scratch = record.AppendDelivery(a.txn.scratch[:0], &record.Delivery{Status: record.Pending, Order: key, Place: due.event})
	a.ordered = append(a.ordered, orderedDelivery{due, orderPlace{key, due.event}})
	return a.pending.put(deliveryKey(due.event, due.webhook.number), a.txn.scratch)
}

// schedule remembers the events and puts their deliveries on the schedule. Sweep removes
// those of webhooks that have been deleted meanwhile.
func (a *acceptance) schedule() {
	state := a.store.state
	for _, e := range a.stored {
		state.recent.add(e.eventID, e.number)
	}
	for _, d := range a.due {
		if state.byNumber[d.webhook.number] == d.webhook {
			state.schedule(d.webhook, d.event, d.due, a.txn.at.schedule)
		}
	}
	for _, d := range a.ordered {
		if state.byNumber[d.webhook.number] == d.webhook {
			state.enqueue(d.webhook, d.event, d.at, d.due, a.txn.at.schedule)
		}
	}
}
