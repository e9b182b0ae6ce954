package embedded

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// Standing says how the deliveries stand whose last requests are among some rows.
func (s *Store) Standing(_ context.Context, tenant string, rows []delivery.Request) ([]delivery.Delivery, error) {
	all := make([]delivery.Delivery, len(rows))
	next := 0
	err := s.inSteps(func(tx *view, left *int) (more bool, err error) {
		of := attemptedReader{
			store: s, pending: tx.bucket(pendingBucket),
			ids:        spanReader{packing: &packedIDs, bucket: tx.bucket(idsBucket)},
			deliveries: spanReader{packing: &packedDeliveries, bucket: tx.bucket(deliveriesBucket)},
		}
		for ; next < len(rows) && *left > 0; next++ {
			*left -= 4
			r := &rows[next]
			if d, ok := of.read(delivery.WebhookRef{Tenant: tenant, ID: r.WebhookID}, r.EventID); ok && d.Last == r.ID {
				all[next] = d.Attempted(r.WebhookID)
			}
		}
		return next < len(rows), nil
	})
	return all, err
}

// attemptedReader reads the states of deliveries of which there are requests.
type attemptedReader struct {
	store           *Store
	pending         bucket
	ids, deliveries spanReader
}

func (a *attemptedReader) read(ref delivery.WebhookRef, id uuid.UUID) (d record.Delivery, ok bool) {
	s := a.store
	s.mu.Lock()
	w := s.state.webhook(ref)
	s.mu.Unlock()
	if w == nil {
		return d, false
	}
	event, ok := findEventIn(&a.ids, w.tenant.number, id)
	if !ok {
		return d, false
	}
	key := deliveryKey(eventNumber(event), w.number)
	value := a.pending.get(key)
	if value == nil {
		value, _ = a.deliveries.find(key)
	}
	d, err := record.DecodeDelivery(value)
	d.Waits = d.Order != (delivery.OrderKey{}) && s.waits(eventNumber(event), w.number)
	return d, err == nil // what cannot be read is found by who needs it
}

// Of one Untried: how many pending deliveries it looks at, and about how many bytes of events it
// reads.
const (
	untriedLook  = 1000
	untriedBytes = 4 << 20
)

// Untried reads deliveries of a webhook that have not been attempted, in the order in which their
// events came.
func (s *Store) Untried(_ context.Context, ref delivery.WebhookRef, after string) (page delivery.UntriedPage, err error) {
	u := untried{store: s, ref: ref, page: &page}
	last := uint64(0)
	if len(after) == 8 {
		last = binary.BigEndian.Uint64([]byte(after))
	}
	if err := u.choose(last); err != nil {
		return page, err
	}
	return page, s.inSteps(u.step)
}

// untried is one Untried.
type untried struct {
	store   *Store
	ref     delivery.WebhookRef
	webhook uint32
	events  []uint64 // that are left
	more    bool     // there are others behind them
	bytes   int
	page    *delivery.UntriedPage
}

// choose finds the next pending deliveries. The schedule has them in another order, which changes
// all the time, and may have millions: so it is copied, which takes a millisecond or two for each
// of these, and is searched when it no longer keeps others waiting. There is one copy at a time.
func (u *untried) choose(after uint64) error {
	s := u.store
	s.copies.Lock()
	defer s.copies.Unlock()
	var entries []entry
	for {
		n, err := u.copySchedule(&entries)
		if err != nil {
			return err
		}
		if n <= cap(entries) {
			break
		}
		entries = make([]entry, 0, n+n/8)
	}
	for _, e := range entries {
		if e.event <= after || len(u.events) == untriedLook && e.event > u.events[untriedLook-1] {
			u.more = u.more || e.event > after
			continue
		}
		at, _ := slices.BinarySearch(u.events, e.event)
		u.events = slices.Insert(u.events, at, e.event)
		if len(u.events) > untriedLook {
			u.events, u.more = u.events[:untriedLook], true
		}
	}
	return nil
}

// copySchedule copies the schedule if there is room for it, and says how long it is.
func (u *untried) copySchedule(entries *[]entry) (int, error) {
	s := u.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return 0, errNotOpen
	}
	w := s.state.webhook(u.ref)
	if w == nil {
		return 0, nil
	}
	u.webhook = w.number
	if n := len(w.schedule.heap) + w.orders.waiting(); n > cap(*entries) {
		return n, nil
	}
	*entries = append((*entries)[:0], w.schedule.heap...)
	*entries = w.orders.appendWaiting(*entries)
	return len(*entries), nil
}

// step reads some of them.
func (u *untried) step(tx *view, left *int) (more bool, err error) {
	events, pending := tx.bucket(eventsBucket), tx.bucket(pendingBucket)
	for ; len(u.events) > 0; u.events = u.events[1:] {
		if *left <= 0 {
			return true, nil
		}
		number := u.events[0]
		place := string(number8(number))
		*left -= u.add(events, pending, number, place)
		if u.bytes >= untriedBytes && (len(u.events) > 1 || u.more) {
			u.page.Next = place
			return false, nil
		}
		if len(u.events) == 1 && u.more {
			u.page.Next = place
		}
	}
	return false, nil
}

// add adds a delivery if it was not attempted and its event has not expired, and says what work
// that was.
func (u *untried) add(events, pending bucket, number uint64, place string) (work int) {
	state, err := record.DecodeDelivery(pending.get(deliveryKey(number, u.webhook)))
	if err != nil || state.Attempts > 0 {
		return 1
	}
	value := events.get(number8(number))
	if value == nil {
		return 2
	}
	u.bytes += len(value)
	work = 2 + len(value)/bytesPerWork
	head, err := decodeEventHead(value)
	if err != nil || head.expires <= u.store.clock.now().wall {
		return work
	}
	e, err := decodeEvent(u.ref.Tenant, value)
	if err != nil {
		events.undecodable(number8(number))
		return work
	}
	u.page.Deliveries = append(u.page.Deliveries, delivery.Untried{
		EventID: e.ID, EventType: e.Type, ReceivedAt: e.ReceivedAt, Place: place,
		Waits: state.Order != (delivery.OrderKey{}) && u.store.waits(number, u.webhook),
	})
	return work
}
