package embedded

import (
	"errors"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// eventRows finds the rows of an event through its deliveries: each refers to its last request,
// and each request to the one before it.
type eventRows struct {
	*pageReader

	number   uint64
	webhooks []uint32 // of the deliveries that are left
	begun    bool     // of the first one, request is the next
	request  uuid.UUID
	seen     int
	ids      []uuid.UUID
	chosen   bool      // ids are those of the page that are left
	next     uuid.UUID // of the page, if all of them are read
}

// event reads the page from the rows of an event.
func (p *pageReader) event() readStep {
	q := &eventRows{pageReader: p}
	begun := false
	return func(tx *view, left *int) (more bool, err error) {
		p.tx = tx
		if !begun {
			begun = true
			if err := q.begin(); err != nil {
				return false, err
			}
		}
		if !q.find(left) {
			return true, nil
		}
		return q.read(left)
	}
}

// begin finds the event.
func (q *eventRows) begin() error {
	number, e, err := q.store.storedEvent(q.tx, q.tenant, q.filter.EventID)
	if errors.Is(err, delivery.ErrNotFound) {
		return nil
	}
	if err != nil || q.filter.EventType != "" && q.filter.EventType != e.Type {
		return err
	}
	q.number, q.webhooks = number, e.targets
	return nil
}

// find finds the requests of some deliveries, and reports whether it has found all.
func (q *eventRows) find(left *int) bool {
	if len(q.webhooks) == 0 {
		return true
	}
	ended := endedOf(q.tx, q.number)
	for ; len(q.webhooks) > 0; q.webhooks, q.begun = q.webhooks[1:], false {
		if *left <= 0 {
			return false
		}
		*left--
		if !q.begun {
			ref, ok := q.store.reference(q.webhooks[0])
			if !ok || q.filter.WebhookID != uuid.Nil && ref.ID != q.filter.WebhookID {
				continue
			}
			d, _ := q.store.stateOfDelivery(q.tx, q.number, false, q.webhooks[0], ended)
			q.begun, q.request, q.seen = true, d.Last, 0
		}
		if !q.ofDelivery(left) {
			return false
		}
	}
	return true
}

// ofDelivery adds the requests of one delivery that have the status asked for, and reports
// whether it has added all.
func (q *eventRows) ofDelivery(left *int) bool {
	requests := q.tx.bucket(requestsBucket)
	for ; q.seen < delivery.MaxRequestsOfDelivery; q.seen++ {
		if *left <= 0 {
			return false
		}
		*left--
		id := q.request
		value := requests.get(id[:])
		if id == uuid.Nil || value == nil {
			return true
		}
		h, err := decodeRowHead(value)
		if err != nil {
			requests.undecodable(id[:])
			return true
		}
		if q.filter.Status == "" || q.filter.Status == record.Status(h.success) {
			q.keep(id)
		}
		q.request = h.previous
	}
	return true
}

// keep adds an id. It keeps those that may be on the page, and some others.
func (q *eventRows) keep(id uuid.UUID) {
	if q.ids = append(q.ids, id); len(q.ids) < 2*delivery.MaxLook {
		return
	}
	q.ids, _ = q.newest(1) // which tells that there is another page
}

// newest makes a page of the ids, longer by some. What the filter looks for may be in all of them.
func (q *eventRows) newest(more int) (page []uuid.UUID, next uuid.UUID) {
	f := *q.filter
	if f.LooksInto() {
		f.Limit = delivery.MaxLook
	}
	f.Limit += more
	return f.Newest(q.ids)
}

// read reads the rows of the page.
func (q *eventRows) read(left *int) (more bool, err error) {
	if !q.chosen {
		q.chosen = true
		q.ids, q.next = q.newest(0)
	}
	for ; len(q.ids) > 0; q.ids = q.ids[1:] {
		if len(q.page.Requests) == q.filter.Limit || q.looked.Far() {
			q.page.Next = q.before
			return false, nil
		}
		if *left <= 0 {
			return true, nil
		}
		if err := q.add(q.ids[0], left); err != nil {
			return false, err
		}
		q.before = q.ids[0]
	}
	q.page.Next = q.next
	return false, nil
}
