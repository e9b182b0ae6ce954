package embedded

import (
	"context"
	"errors"
	"slices"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/follow"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Complete writes one row of the log per outcome and ends or reschedules its
// delivery. All outcomes of a call are written, or none, unless the database is damaged.
func (s *Store) Complete(_ context.Context, outcomes []delivery.Outcome) []error {
	if len(outcomes) == 0 {
		return nil
	}
	err := s.complete(outcomes)
	if err == nil {
		return nil
	}
	errs := slices.Repeat([]error{err}, len(outcomes))
	if len(outcomes) > 1 && errors.Is(err, errDamaged) && s.usable() == nil {
		for i := range outcomes { // all but those that need the damaged page
			errs[i] = s.complete(outcomes[i : i+1])
		}
	}
	return errs
}

func (s *Store) complete(outcomes []delivery.Outcome) error {
	ahead := s.clock.now().ahead() // of the clock by which the outcomes' times are
	return s.write(together, func(t *txn) error {
		c := completion{
			store: s, txn: t, ahead: ahead,
			ids: t.journaled(idsBucket), pending: t.rising(pendingBucket), deliveries: t.rising(deliveriesBucket),
			requests: t.rising(requestsBucket), log: t.rising(logBucket),
			logged: make([]byte, 0, 2*logKeySize*len(outcomes)), ended: make([]byte, 0, packedDeliveries.size()*len(outcomes)),
			settled: make([]settled, 0, len(outcomes)), written: make([]follow.Item, 0, len(outcomes)),
		}
		t.committed, t.undo = append(t.committed, c.committed), append(t.undo, c.undo)
		for i := range outcomes {
			if err := c.outcome(&outcomes[i]); err != nil {
				return err
			}
		}
		return errors.Join(c.writeEnded(), packedLog.add(c.log, c.logged))
	})
}

// completion is one Complete in its transaction.
type completion struct {
	store                                   *Store
	txn                                     *txn
	ahead                                   int64
	ids, pending, deliveries, requests, log journaled
	settled                                 []settled
	written                                 []follow.Item // the rows that are new
	// Records to pack: of the log, and of deliveries that were pending.
	logged, ended []byte
}

// settled is a delivery that an outcome ends or reschedules, with its due times before and
// after; never if it is not on the schedule.
type settled struct {
	webhook     *webhook
	event       uint64
	before, due int64
}

// outcome writes one row, unless the row exists or its webhook does not.
func (c *completion) outcome(o *delivery.Outcome) error {
	r := &o.Request
	w := c.store.state.webhook(delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID})
	if w == nil {
		return nil
	}
	d, isNew := c.leased(o, w)
	if !isNew && c.requests.get(r.ID[:]) != nil {
		return nil
	}
	head := rowHead{tenant: w.tenant.number, webhook: w.number, event: r.EventID, success: r.Status == delivery.RequestSuccess}
	var err error
	if head.eventType, err = c.store.eventType(c.txn, r.EventType); err != nil {
		return err
	}
	if !isNew {
		if d, err = c.find(o, w); err != nil {
			return err
		}
	}
	if d.event != 0 {
		if err := c.delivery(o, w, &d, &head); err != nil {
			return err
		}
	}
	if err := c.slowness(o, w, head.success); err != nil {
		return err
	}
	if !d.held && r.ResponseBody != "" && c.txn.isErased(d.event) {
		empty := *r
		empty.ResponseBody = ""
		r = &empty
	}
	c.txn.scratch = appendRow(c.txn.scratch[:0], &head, c.store.encryption.Request(r))
	if err := c.requests.put(r.ID[:], c.txn.scratch); err != nil {
		return err
	}
	c.txn.count(&head, r)
	c.logged = head.appendLogKeys(c.logged, r.ID)
	c.written = append(c.written, follow.Item{Tenant: w.tenant.name, ID: r.ID})
	return nil
}

// current is a delivery as it is when an outcome comes. Its event is 0 if there is none.
type current struct {
	event uint64
	record.Delivery
	scheduled, held bool
}

// leased finds the delivery of an outcome whose lease still holds, if it is known without a
// look-up, and the attempt is not recorded. Then the row is not there either: it is written
// together with the end of the lease.
func (c *completion) leased(o *delivery.Outcome, w *webhook) (d current, ok bool) {
	if d.event, ok = c.holding(o, w); !ok {
		return current{}, false
	}
	value := c.pending.get(deliveryKey(d.event, w.number))
	if value == nil {
		return current{}, false
	}
	var err error
	if d.Delivery, err = record.DecodeDelivery(value); err != nil || int(d.Attempts) >= o.Request.Attempt {
		return current{}, false
	}
	d.scheduled, d.held = true, true
	return d, true
}

// holding finds the event of an outcome whose lease still holds, if it is remembered.
func (c *completion) holding(o *delivery.Outcome, w *webhook) (event uint64, ok bool) {
	if o.LeaseEnd == 0 {
		return 0, false
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	if event, ok = c.store.state.recent.number(eventID{w.tenant.number, o.Request.EventID}); !ok {
		return 0, false
	}
	due, ok := w.schedule.due(event)
	return event, ok && due == o.LeaseEnd
}

// find looks up the delivery of an outcome.
func (c *completion) find(o *delivery.Outcome, w *webhook) (d current, err error) {
	if err := c.writeEnded(); err != nil {
		return current{}, err
	}
	eventKey, err := c.event(o, w)
	if eventKey == nil || err != nil {
		return current{}, err
	}
	d.event = eventNumber(eventKey)
	key := deliveryKey(d.event, w.number)
	value := c.pending.get(key)
	if d.scheduled = value != nil; !d.scheduled {
		if value, _ = packedDeliveries.find(c.deliveries.bucket, key); value == nil {
			// A test, a delivery whose webhook did not exist when its event was accepted,
			// or one whose record is lost.
			d.scheduled = c.isScheduled(w, d.event)
		}
	}
	if d.Delivery, err = record.DecodeDelivery(value); err != nil { // it is written anew
		d.Delivery = record.Delivery{Status: record.Pending}
	}
	d.held = d.scheduled && o.LeaseEnd != 0 && c.holds(w, d.event, o.LeaseEnd)
	return d, nil
}

// event finds the key of an outcome's event, nil if there is none. If the record of its id
// is lost, the event is one of those whose deliveries the lease holds.
func (c *completion) event(o *delivery.Outcome, w *webhook) ([]byte, error) {
	if key, ok := findEvent(c.ids.bucket, w.tenant.number, o.Request.EventID); ok {
		return key, nil
	}
	events := c.txn.bucket(eventsBucket)
	for _, event := range c.held(w, o.LeaseEnd) {
		key := number8(event)
		if h, ok := isEventHead(events.get(key)); ok && h.tenant == w.tenant.number && h.id == o.Request.EventID {
			return key, c.ids.put(idKey(h.tenant, h.id), key)
		}
	}
	return nil, nil
}

// delivery ends or reschedules the delivery, and records the request as its last.
func (c *completion) delivery(o *delivery.Outcome, w *webhook, d *current, head *rowHead) error {
	head.previous, d.Last = d.Last, o.Request.ID
	ends := false
	switch {
	case d.held:
		d.Attempts = uint16(o.Request.Attempt)
		if ends = head.success || o.RetryAt.IsZero(); !ends {
			d.RetryAt = o.RetryAt.UnixMilli()
			head.nextAttempt = d.RetryAt
		}
		d.Status = statusOf(head.success, ends)
		c.settle(w, d.event, d.RetryAt+c.ahead, ends)
	case o.LeaseEnd != 0: // the lease was lost
	case head.success:
		d.Status = record.Success
		if ends = d.scheduled; ends {
			c.settle(w, d.event, 0, true)
		}
	case o.Request.Trigger == delivery.TriggerTest:
		d.Status = record.Failed
	}
	key := deliveryKey(d.event, w.number)
	if !d.scheduled || ends {
		d.Order, d.Place = delivery.OrderKey{}, 0
	}
	c.txn.scratch = record.AppendDelivery(c.txn.scratch[:0], &d.Delivery)
	if d.scheduled && !ends {
		return c.pending.put(key, c.txn.scratch)
	}
	if !d.scheduled {
		return packedDeliveries.set(c.deliveries, key, c.txn.scratch)
	}
	c.ended = append(append(c.ended, key...), c.txn.scratch...)
	return c.pending.delete(key)
}

// writeEnded writes the deliveries that have ended.
func (c *completion) writeEnded() error {
	ended := c.ended
	c.ended = c.ended[:0]
	return packedDeliveries.add(c.deliveries, ended)
}

func statusOf(ok, ends bool) byte {
	switch {
	case ok:
		return record.Success
	case ends:
		return record.Failed
	default:
		return record.Pending
	}
}

// holds reports whether the delivery is still held by the lease.
func (c *completion) holds(w *webhook, event uint64, leaseEnd int64) bool {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	due, ok := w.schedule.due(event)
	return ok && due == leaseEnd
}

// isScheduled reports whether the delivery is on the schedule.
func (c *completion) isScheduled(w *webhook, event uint64) bool {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	due, ok := w.schedule.due(event)
	return ok && due != never
}

// held gives the events of a webhook's deliveries that a lease holds.
func (c *completion) held(w *webhook, leaseEnd int64) (events []uint64) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	for _, e := range w.schedule.heap {
		if e.due == leaseEnd {
			events = append(events, e.event)
		}
	}
	return events
}

// settle keeps the delivery from being claimed until its outcome is on the disk; then it
// ends or is rescheduled.
func (c *completion) settle(w *webhook, event uint64, due int64, ends bool) {
	if ends {
		due = never
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	before, ok := w.schedule.due(event)
	if !ok {
		before = never
	} else if before != never {
		c.store.state.schedule(w, event, never, c.txn.at.schedule)
	}
	c.settled = append(c.settled, settled{w, event, before, due})
}

// committed ends or reschedules the settled deliveries, and tells the log's followers.
func (c *completion) committed() {
	c.store.ring.Add(c.written...)
	for _, d := range c.settled {
		if d.due == never {
			c.store.state.unschedule(d.webhook, d.event, c.txn.at.schedule)
		} else {
			c.store.state.schedule(d.webhook, d.event, d.due, c.txn.at.schedule)
		}
	}
}

// undo restores the due times of the settled deliveries.
func (c *completion) undo() {
	for _, d := range slices.Backward(c.settled) {
		if d.before != never {
			c.store.state.schedule(d.webhook, d.event, d.before, c.txn.at.schedule)
		}
	}
}

// slowness records whether the webhook answers in time.
func (c *completion) slowness(o *delivery.Outcome, w *webhook, ok bool) error {
	was, changed := c.txn.slow[w]
	if !changed {
		was = w.slow
	}
	slow := !ok && (was || o.Slow)
	if slow == was {
		return nil
	}
	if c.txn.slow == nil {
		c.txn.slow = make(map[*webhook]bool)
	}
	c.txn.slow[w] = slow
	state, now := c.store.state, c.txn.at.schedule
	c.txn.committed = append(c.txn.committed, func() { state.setSlow(w, slow, now) })
	if slow {
		return c.txn.journaled(slowBucket).put(number4(w.number), []byte{1})
	}
	return c.txn.journaled(slowBucket).delete(number4(w.number))
}
