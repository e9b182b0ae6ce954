package redis

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// The most that one script does, unless a single call is more: while a script runs, it
// blocks all of Redis.
const (
	maxEventsPerScript     = 1000
	maxDeliveriesPerScript = 10_000
	maxBytesPerScript      = 32 << 20
)

// leaseBit, in the 2 bytes of a target for accept.lua, asks for a lease.
const leaseBit = 1 << 15

// Accept stores the events of each call and schedules their deliveries.
func (s *Store) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	results := make([]delivery.Accepted, len(batch.Calls))
	batches := newBatches(newAcceptance)
	for i := range batch.Calls {
		p, err := s.at(batch.Calls[i].Tenant)
		if err != nil {
			results[i].Err = err
			continue
		}
		batches.of(p).add(&batch.Calls[i], i)
	}
	calls := make([]*call, len(batches.all))
	for i, a := range batches.all {
		calls[i] = a.call(&batch, s.longChunk)
	}
	if len(calls) > 0 {
		s.runAll(ctx, calls...)
	}
	for i, a := range batches.all {
		a.results(&batch, calls[i], results)
	}
	return results
}

// acceptance gathers calls for one run of the script on one partition.
type acceptance struct {
	partition *partition
	places    []int  // indexes of its calls in the batch
	args      []any  // of the calls
	heads     []byte // of runs
	texts     texts
	orders    []any // of events with deliveries that have order keys

	refs    []any // of the webhooks
	numbers map[delivery.WebhookRef]int
	ids     []uuid.UUID // by number
	arrived []arrivedEvents

	events, deliveries, bytes int
}

func newAcceptance(p *partition) *acceptance {
	return &acceptance{partition: p, numbers: make(map[delivery.WebhookRef]int)}
}

func (a *acceptance) isFull() bool {
	return a.events >= maxEventsPerScript || a.deliveries >= maxDeliveriesPerScript || a.bytes >= maxBytesPerScript
}

func (a *acceptance) add(c *delivery.AcceptCall, place int) {
	a.places = append(a.places, place)
	a.args = append(a.args, &c.Tenant, &c.Version)
	runs := len(a.args)
	a.args = append(a.args, nil)
	count, run := 0, text(nil) // the head of the last run
	for i := range c.Events {
		e := &c.Events[i]
		head := a.head(c.Tenant, e, i)
		if run == nil || !bytes.Equal(run[runCountSize:], head[runCountSize:]) || isFullRun(run) {
			run = head
			a.args = append(a.args, a.texts.add(run))
			count++
		} else {
			a.heads = a.heads[:len(a.heads)-len(head)]
		}
		binary.BigEndian.PutUint16(run, binary.BigEndian.Uint16(run)+1)

		stored := encodeEvent(a.partition.encryption.Event(c.Tenant, e), c.Nonce, i)
		if orders := a.ordersOf(c.Tenant, e); orders != nil {
			a.orders = append(a.orders, len(a.args)+1, orders)
		}
		a.args = append(a.args, a.texts.add(e.ID[:]), a.texts.add(stored))
		a.bytes += len(stored)
		a.deliveries += len(e.Targets)
	}
	a.args[runs] = count
	a.events += len(c.Events)
	a.arrive(c)
}

// runCountSize is the size of the number of events, with which the head of a run begins.
const runCountSize = 2

func isFullRun(head []byte) bool { return binary.BigEndian.Uint16(head) == math.MaxUint16 }

// What accept.lua is told about looking an event up.
const (
	lookNowhere = iota
	lookEverywhere
	lookForRepetition
)

// head is the head of a run that an event is in, without the number of events. The first event
// of a call tells whether it was made again: Redis may run a call that has timed out after its
// repetition.
func (a *acceptance) head(tenant string, e *delivery.AcceptEvent, place int) []byte {
	first := len(a.heads)
	look, test := byte(lookNowhere), byte(0)
	switch {
	case !e.New:
		look = lookEverywhere
	case place == 0:
		look = lookForRepetition
	}
	if e.Test {
		test = 1
	}
	a.heads = append(a.heads, 0, 0, look, test)
	for _, t := range e.Targets {
		if t.Order != (delivery.OrderKey{}) && !e.Test {
			continue
		}
		n := a.number(delivery.WebhookRef{Tenant: tenant, ID: t.Webhook})
		if t.Lease {
			n |= leaseBit
		}
		a.heads = binary.BigEndian.AppendUint16(a.heads, uint16(n))
	}
	return a.heads[first:]
}

// ordersOf are the targets of an event with order keys, nil if it has none.
func (a *acceptance) ordersOf(tenant string, e *delivery.AcceptEvent) (orders []byte) {
	for i := range e.Targets {
		if t := &e.Targets[i]; t.Order != (delivery.OrderKey{}) && !e.Test {
			orders = binary.BigEndian.AppendUint16(orders, uint16(a.number(delivery.WebhookRef{Tenant: tenant, ID: t.Webhook})))
			orders = append(orders, t.Order[:]...)
		}
	}
	return orders
}

// number is the number of a webhook in the script's arguments. A tenant has few enough
// webhooks, and a script few enough deliveries, for 15 bits.
func (a *acceptance) number(ref delivery.WebhookRef) int {
	n, ok := a.numbers[ref]
	if !ok {
		n = len(a.refs)
		a.numbers[ref] = n
		a.refs = append(a.refs, refText(ref))
		a.ids = append(a.ids, ref.ID)
	}
	return n
}

func (a *acceptance) call(batch *delivery.AcceptBatch, longChunk int) *call {
	args := make([]any, 0, 6+len(a.refs)+len(a.args)+len(a.orders)+2*len(a.arrived))
	args = append(args, batch.Lease.Milliseconds(), (batch.Retention + delivery.EventGrace).Milliseconds(), len(a.refs))
	args = append(args, a.refs...)
	args = append(args, len(a.places))
	args = append(args, a.args...)
	args = append(args, len(a.orders)/2)
	args = append(args, a.orders...)
	args = append(args, longChunk)
	for i := range a.arrived {
		args = append(args, &a.arrived[i].tenant, a.texts.add(a.arrived[i].events))
	}
	return &call{script: acceptScript, base: a.partition.base, args: args, confirmed: true}
}

// results decodes the script's reply into the results of its calls.
func (a *acceptance) results(batch *delivery.AcceptBatch, c *call, results []delivery.Accepted) {
	const head = 3
	err := c.err
	if err == nil && len(c.reply) != head+len(a.places) {
		err = errUnknownReply
	}
	if err != nil {
		for _, place := range a.places {
			results[place].Err = err
		}
		return
	}
	now, _ := c.reply[0].(int64)
	later, _ := c.reply[1].(int64)
	leaseEnd, _ := c.reply[2].(int64)
	events := make([]delivery.AcceptedEvent, a.events)
	for i, place := range a.places {
		result := &results[place]
		result.At = time.UnixMilli(now + later).UTC()
		result.LeaseEnd = leaseEnd
		n := len(batch.Calls[place].Events)
		result.Events, events = events[:n:n], events[n:]
		if result.Err = a.read(c.reply[head+i], &batch.Calls[place], result); result.Err != nil {
			result.Events = nil
		}
	}
}

// read decodes the reply to one call into a result that has room for its events.
func (a *acceptance) read(reply any, c *delivery.AcceptCall, result *delivery.Accepted) error {
	var codes, refused []any
	switch r := reply.(type) {
	case int64:
		if r != 0 {
			return delivery.ErrStale
		}
	case []any:
		if len(r) != 2 {
			return errUnknownReply
		}
		codes, _ = r[0].([]any)
		refused, _ = r[1].([]any)
		if len(codes) != len(c.Events) {
			return errUnknownReply
		}
	default:
		return errUnknownReply
	}
	for i := range c.Events {
		result.Events[i].Deliveries = len(c.Events[i].Targets)
		if codes == nil {
			continue
		}
		switch code, _ := codes[i].(int64); {
		case code < 0:
			result.Events[i] = delivery.AcceptedEvent{Duplicate: true}
		case code > 0:
			result.Events[i] = delivery.AcceptedEvent{Repeated: true, Deliveries: int(code) - 1}
		}
	}
	for _, n := range refused {
		if n, ok := n.(int64); ok && n >= 0 && int(n) < len(a.ids) {
			result.Unleased = append(result.Unleased, a.ids[n])
		}
	}
	return nil
}
