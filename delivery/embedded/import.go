package embedded

import (
	"context"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Import adds what does not exist yet, in one transaction.
func (s *Store) Import(_ context.Context, batch *delivery.Batch) (added int, err error) {
	err = s.write(alone, func(t *txn) error {
		i := importing{store: s, txn: t}
		if err := i.webhooks(batch.Webhooks); err != nil {
			return err
		}
		if err := i.events(batch.Events); err != nil {
			return err
		}
		if err := i.requests(batch.Requests); err != nil {
			return err
		}
		if err := i.audits(batch.Audits); err != nil {
			return err
		}
		added = i.added
		return nil
	})
	return added, err
}

// importing is one Import in its transaction.
type importing struct {
	store *Store
	txn   *txn
	added int
}

func (i *importing) webhooks(all []delivery.StoredWebhook) error {
	state := i.store.state
	b := i.txn.rising(webhooksBucket)
	more := make(map[*tenant][]uuid.UUID)
	for n := range all {
		w := clone(&all[n].Webhook)
		if state.webhook(w.Ref()) != nil {
			continue
		}
		t, err := i.store.tenant(i.txn, w.Tenant)
		if err != nil {
			return err
		}
		if more[t] = append(more[t], w.ID); len(t.webhooks)+len(more[t]) > delivery.MaxWebhooks {
			return delivery.ErrTooManyWebhooks
		}
		number, err := b.nextNumber()
		if err != nil {
			return err
		}
		if err := i.store.putWebhook(i.txn, b, uint32(number), t, w); err != nil {
			return err
		}
		slow := all[n].Slow
		if slow {
			if err := i.txn.journaled(slowBucket).put(number4(uint32(number)), []byte{1}); err != nil {
				return err
			}
		}
		i.txn.committed = append(i.txn.committed, func() { state.addWebhook(t, uint32(number), w).slow = slow })
		i.added++
	}
	for t, ids := range more {
		next := *t
		next.version += int64(len(ids))
		i.txn.committed = append(i.txn.committed, func() {
			for _, id := range ids {
				t.raise(id)
			}
		})
		if err := i.txn.journaled(tenantsBucket).put([]byte(t.name), encodeTenant(&next)); err != nil {
			return err
		}
	}
	return nil
}

func (i *importing) audits(all []delivery.AuditEntry) error {
	for n := range all {
		t, err := i.store.tenant(i.txn, all[n].Tenant)
		if err != nil {
			return err
		}
		added, err := i.store.writeAudit(i.txn, t, &all[n])
		if err != nil {
			return err
		}
		i.added += added
	}
	return nil
}

func (i *importing) events(all []delivery.StoredEvent) error {
	a := acceptance{store: i.store, txn: i.txn, events: i.txn.journaled(eventsBucket), ids: i.txn.journaled(idsBucket)}
	for n := range all {
		e := &all[n]
		t, err := i.store.tenant(i.txn, e.Tenant)
		if err != nil {
			return err
		}
		head := eventHead{
			received: e.ReceivedAt.UnixMilli(), expires: e.Expires.UnixMilli(),
			nonce: e.Nonce, place: uint16(e.Place), tenant: t.number, id: e.ID,
		}
		known, err := a.known(&head)
		if err != nil {
			return err
		}
		if known != nil {
			continue
		}
		if err := i.event(&a, t, &head, e); err != nil {
			return err
		}
		i.added++
	}
	i.txn.committed = append(i.txn.committed, a.schedule)
	return i.txn.addArrived(a.arrived)
}

// event adds an event with its deliveries.
func (i *importing) event(a *acceptance, t *tenant, head *eventHead, e *delivery.StoredEvent) error {
	number, err := i.numberFor(a.events, head.received)
	if err != nil {
		return err
	}
	a.arrived = appendArrivedKey(a.arrived, head.tenant, number)
	var numbers []byte
	for n := range e.Deliveries {
		d := &e.Deliveries[n]
		w := t.webhooks[d.Webhook]
		if w == nil {
			continue
		}
		numbers = binary.BigEndian.AppendUint32(numbers, w.number)
		if err := i.delivery(number, w, d); err != nil {
			return err
		}
		if d.Due.IsZero() {
			continue
		}
		due := dueDelivery{w, number, d.Due.UnixMilli() + i.txn.at.ahead()}
		if d.Order == (delivery.OrderKey{}) {
			a.due = append(a.due, due)
		} else {
			a.ordered = append(a.ordered, orderedDelivery{due, orderPlace{d.Order, d.OrderPlace}})
		}
	}
	head.deliveries = uint16(len(numbers) / 4)
	key := number8(number)
	value := appendEvent(nil, head, i.store.encryption.Event(e.Tenant, &delivery.AcceptEvent{
		ID: e.ID, Type: e.Type, OccurredAt: e.OccurredAt, Test: e.Test, Payload: e.Payload,
	}), numbers)
	if e.Erased {
		value = appendErased(nil, head, &e.Event, e.Test, numbers)
	}
	if err := a.events.put(key, value); err != nil {
		return err
	}
	return a.ids.put(idKey(head.tenant, head.id), key)
}

// delivery writes the state of a delivery.
func (i *importing) delivery(event uint64, w *webhook, d *delivery.StoredDelivery) error {
	var value []byte
	ordered := !d.Due.IsZero() && d.Order != (delivery.OrderKey{})
	if !d.Untouched() || ordered {
		value = record.AppendStoredDelivery(nil, d)
	}
	in := deliveriesBucket
	switch {
	case ordered:
		value = binary.BigEndian.AppendUint64(append(value, d.Order[:]...), d.OrderPlace)
		in = pendingBucket
	case !d.Due.IsZero():
		in = pendingBucket
	case value == nil:
		return nil // a test that has not been sent yet
	}
	return i.txn.journaled(in).put(deliveryKey(event, w.number), value)
}

// numberFor gives an event a number by its time of receipt, so that Sweep finds the oldest
// events first, whatever order they are imported in.
func (i *importing) numberFor(events journaled, received int64) (uint64, error) {
	number := firstNumber(received)
	c := events.cursor()
	c.Seek(number8(firstNumber(received + 1)))
	if k, _ := c.Prev(); k != nil {
		number = max(number, eventNumber(k)+1)
	}
	for events.get(number8(number)) != nil { // after the clock was set back, numbers are ahead of it
		number++
	}
	return number, events.setNumber(max(events.lastNumber(), number))
}

func (i *importing) requests(all []delivery.StoredRequest) error {
	requests := i.txn.journaled(requestsBucket)
	var logged []byte
	for n := range all {
		r := &all[n].Request
		w := i.store.state.webhook(delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID})
		if w == nil || requests.get(r.ID[:]) != nil {
			continue
		}
		eventType, err := i.store.eventType(i.txn, r.EventType)
		if err != nil {
			return err
		}
		if r.ResponseBody != "" {
			if key, ok := findEvent(i.txn.bucket(idsBucket), w.tenant.number, r.EventID); ok && i.txn.isErased(eventNumber(key)) {
				empty := *r
				empty.ResponseBody = ""
				r = &empty
			}
		}
		head := rowHead{
			previous: all[n].Previous, nextAttempt: record.Millis(r.NextAttemptAt),
			tenant: w.tenant.number, webhook: w.number, eventType: eventType,
			event: r.EventID, success: r.Status == delivery.RequestSuccess,
		}
		if err := requests.put(r.ID[:], appendRow(nil, &head, i.store.encryption.Request(r))); err != nil {
			return err
		}
		i.txn.count(&head, r)
		logged = head.appendLogKeys(logged, r.ID)
		i.added++
	}
	return packedLog.add(i.txn.journaled(logBucket), logged)
}
