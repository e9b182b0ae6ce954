package embedded

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/encryption"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// loader reads what is kept in memory. Records that cannot be read are passed over, and so
// is what cannot be read of a bucket whose pages are damaged.
type loader struct {
	*state
	view   *view
	damage *damage
	log    *zap.Logger
	// lost says that pending deliveries may be missing from their bucket.
	lost          bool
	tenantNumbers map[uint32]*tenant
	keys          *encryption.Keyring
	missing       error // a secret is encrypted with a key that is not there
}

// loadState reads the state of a store, and reports whether pending deliveries may be lost.
// It fails if a secret cannot be opened: nothing may be sent without the signature.
func (s *Store) loadState(v *view, now int64) (*state, bool, error) {
	l := &loader{
		state: newState(), view: v, damage: &s.damage, log: s.log,
		tenantNumbers: make(map[uint32]*tenant), keys: s.encryption.Keys(),
	}
	l.opened = v.bucket(eventsBucket).lastNumber()
	l.tenantsAndTypes()
	l.webhooks()
	l.runningReplays()
	l.each(goneBucket, func(k, _ []byte) {
		if len(k) == 4 {
			l.gone[binary.BigEndian.Uint32(k)] = nil
		}
	})
	l.lost = !l.each(pendingBucket, l.pendingDelivery)
	for _, w := range l.byNumber {
		w.indexOrders()
		l.reschedule(w, now, false)
	}
	if s.keyless {
		l.missing = nil
	}
	return l.state, l.lost, l.missing
}

// each reads a bucket. It reports whether all of it could be read.
func (l *loader) each(name []byte, do func(k, v []byte)) bool {
	noted := l.damage.noting()
	err := guarded(func() error {
		c := l.view.bucket(name).cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			do(k, v)
		}
		return nil
	})
	if err != nil && l.damage.page(err) {
		l.log.Error("a page of the webhooks' store cannot be read", zap.ByteString("bucket", name), zap.Error(err))
	}
	return err == nil && l.damage.noting() == noted
}

func (l *loader) tenantsAndTypes() {
	numbers := l.view.bucket(tenantsBucket)
	l.each(tenantsBucket, func(k, v []byte) {
		if len(v) < 12 {
			numbers.undecodable(k)
			return
		}
		l.addTenant(string(k), binary.BigEndian.Uint32(v)).version = int64(binary.BigEndian.Uint64(v[4:]))
	})
	types := l.view.bucket(typesBucket)
	l.each(typesBucket, func(k, v []byte) {
		if len(v) < 4 {
			types.undecodable(k)
			return
		}
		n := binary.BigEndian.Uint32(v)
		l.types[string(k)] = n
		l.nextType = max(l.nextType, n+1)
	})
	// Numbers whose records are lost must not be given out again.
	l.nextTenant = max(l.nextTenant, uint32(numbers.lastNumber())+1)
	l.nextType = max(l.nextType, uint32(types.lastNumber())+1)
}

func (l *loader) addTenant(name string, number uint32) *tenant {
	t := newTenant(name, number)
	l.tenants[name] = t
	l.tenantNumbers[number] = t
	l.nextTenant = max(l.nextTenant, number+1)
	return t
}

func (l *loader) webhooks() {
	b := l.view.bucket(webhooksBucket)
	l.each(webhooksBucket, func(k, v []byte) {
		number, w, err := decodeWebhook(v, l.keys)
		if encryption.IsMissingKey(err) {
			l.missing, err = err, nil
		}
		if err != nil || len(k) != 4 {
			b.undecodable(k)
			return
		}
		t := l.tenantNumbers[number]
		if t == nil { // the tenant's own record is lost
			t = l.addTenant(w.Tenant, number)
			t.version, t.lost = time.Now().UnixMilli(), true // which it never had
		}
		w.Tenant = t.name
		l.addWebhook(t, binary.BigEndian.Uint32(k), w)
	})
	l.each(slowBucket, func(k, _ []byte) {
		if len(k) == 4 && l.byNumber[binary.BigEndian.Uint32(k)] != nil {
			l.byNumber[binary.BigEndian.Uint32(k)].slow = true
		}
	})
}

// pendingDelivery puts a delivery on the schedule. One that has not been tried is due: the
// process that held it is gone.
func (l *loader) pendingDelivery(k, v []byte) {
	d, err := record.DecodeDelivery(v)
	if err != nil || len(k) != 12 {
		l.view.bucket(pendingBucket).undecodable(k)
		return
	}
	event, number := splitDeliveryKey(k)
	if w := l.byNumber[number]; w != nil {
		w.schedule.heap = append(w.schedule.heap, entry{d.RetryAt, event})
		if d.Order != (delivery.OrderKey{}) {
			if w.orders == nil {
				w.orders = newOrders()
			}
			w.orders.add(event, orderPlace{d.Order, d.Place})
		}
		l.pending++
	} else if pending, ok := l.gone[number]; ok {
		l.gone[number] = append(pending, event)
	}
}

func newTenant(name string, number uint32) *tenant {
	return &tenant{name: name, number: number, webhooks: make(map[uuid.UUID]*webhook)}
}

// reconcileStep is how many events one step of reconcile looks at.
const reconcileStep = 20_000

// restore writes anew what was lost, but is known from other records: tenants, and
// deliveries that are neither pending nor have ended.
func (s *Store) restore(deliveries bool) error {
	if err := s.write(alone, func(t *txn) error {
		for _, of := range s.state.tenants {
			if !of.lost {
				continue
			}
			if err := t.journaled(tenantsBucket).put([]byte(of.name), encodeTenant(of)); err != nil {
				return err
			}
			t.committed = append(t.committed, func() { of.lost = false })
		}
		return nil
	}); err != nil || !deliveries {
		return err
	}
	for from := number8(0); from != nil; {
		err := s.write(alone, func(t *txn) (err error) {
			from, err = s.reconcile(t, from)
			return err
		})
		if err != nil {
			return err
		}
	}
	for noted := int64(-1); noted != s.damage.noting(); {
		noted = s.damage.noting()
		if err := s.write(alone, orphans); err != nil {
			return err
		}
	}
	return nil
}

// orphans notes pending deliveries whose events are lost.
func orphans(t *txn) error {
	if err := t.flush(); err != nil {
		return err
	}
	t.whole = true
	events, pending := t.bucket(eventsBucket), t.bucket(pendingBucket)
	c := pending.cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if events.sealed(k[:8]) == nil {
			pending.undecodable(k)
		}
	}
	return nil
}

// reconcile makes deliveries due that the events from one on have no record of. It returns
// where to go on, nil at the end.
func (s *Store) reconcile(t *txn, from []byte) (next []byte, err error) {
	c := t.bucket(eventsBucket).cursor()
	k, v := c.Seek(from)
	for n := 0; k != nil; k, v = c.Next() {
		if n++; n > reconcileStep {
			return append([]byte(nil), k...), nil
		}
		e, err := decodeEvent("", v)
		if err != nil || e.test || e.Erased {
			continue
		}
		for _, number := range e.targets {
			key := deliveryKey(eventNumber(k), number)
			if s.state.byNumber[number] == nil || t.bucket(pendingBucket).sealed(key) != nil || packedDeliveries.mayHave(t.bucket(deliveriesBucket), key) {
				continue
			}
			s.log.Error("the state of a delivery is lost: it is sent as if it had not been tried",
				zap.Uint64("event_number", eventNumber(k)), zap.Stringer("event_id", e.ID), zap.Stringer("webhook_id", s.state.byNumber[number].record.ID))
			if err := t.makeDue(s.state, eventNumber(k), number); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}
