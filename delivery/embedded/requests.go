package embedded

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sort"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// patience is how many rows of deleted webhooks a page skips.
const patience = 2000

// Request reads one row of the log, bodies included.
func (s *Store) Request(_ context.Context, tenant string, id uuid.UUID) (*delivery.Request, error) {
	var found *delivery.Request
	err := s.read(func(tx *view) error {
		r, body, err := s.row(tx, tenant, id)
		if err != nil {
			return err
		}
		r.ResponseBody = string(body)
		if err := s.encryption.DecryptBody(&r); errors.Is(err, record.ErrUnreadable) {
			tx.bucket(requestsBucket).undecodable(id[:])
			return delivery.ErrNotFound
		} else if err != nil {
			return err
		}
		found = &r
		_, e, err := s.decryptedEvent(tx, tenant, r.EventID)
		switch {
		case errors.Is(err, delivery.ErrNotFound):
			return nil
		case err == nil && e.SentBy(&r):
			r.RequestBody = e.Payload
		}
		return err
	})
	return found, err
}

// row reads a row that the tenant may see. The body is valid within the
// transaction.
func (s *Store) row(tx *view, tenant string, id uuid.UUID) (r delivery.Request, body []byte, err error) {
	value := tx.bucket(requestsBucket).get(id[:])
	if value == nil {
		return r, nil, delivery.ErrNotFound
	}
	h, err := decodeRowHead(value)
	if err == nil {
		ref, ok := s.reference(h.webhook)
		if !ok || ref.Tenant != tenant {
			return r, nil, delivery.ErrNotFound
		}
		r, body, err = decodeRow(ref, id, value)
	}
	if err != nil {
		tx.bucket(requestsBucket).undecodable(id[:])
		return r, nil, delivery.ErrNotFound
	}
	return r, body, nil
}

// reference gives the reference of the webhook with a number, if it exists.
func (s *Store) reference(number uint32) (delivery.WebhookRef, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.state.byNumber[number]
	if w == nil {
		return delivery.WebhookRef{}, false
	}
	return w.record.Ref(), true
}

// Requests reads a page of the log.
func (s *Store) Requests(_ context.Context, tenant string, f delivery.RequestFilter) (delivery.RequestPage, error) {
	f.Limit = min(max(1, f.Limit), delivery.MaxPage)
	page, err := s.page(tenant, &f, false)
	if errors.Is(err, errDamaged) {
		page, err = s.page(tenant, &f, true)
	}
	return page, err
}

// page reads a page of the log. If it is to be careful, it leaves out rows on pages of the
// database that are damaged.
func (s *Store) page(tenant string, f *delivery.RequestFilter, careful bool) (delivery.RequestPage, error) {
	p := pageReader{store: s, tenant: tenant, filter: f, careful: careful}
	var ok bool
	if p.first, p.before, ok = f.Bounds(); !ok {
		return delivery.RequestPage{}, nil
	}
	err := s.read(func(tx *view) error {
		p.tx = tx
		if f.EventID != uuid.Nil {
			return p.ofEvent()
		}
		return p.ofLog()
	})
	return p.page, err
}

// pageReader reads one page.
type pageReader struct {
	store         *Store
	tx            *view
	tenant        string
	filter        *delivery.RequestFilter
	careful       bool
	first, before uuid.UUID
	page          delivery.RequestPage
}

// ofLog reads the page from the log of the tenant or the webhook. It merges the newest rows
// of each event type and status until the page is full.
func (p *pageReader) ofLog() error {
	of, eventType, ok := p.which()
	if !ok {
		return nil
	}
	kinds := p.kinds(of, eventType)
	for examined := 0; len(kinds) > 0; examined++ {
		id := kinds[0].id
		if len(p.page.Requests) == p.filter.Limit || examined == patience {
			p.page.Next = p.before
			return nil
		}
		r, err := p.row(id)
		switch {
		case err == nil:
			p.page.Requests = append(p.page.Requests, r)
		case !errors.Is(err, delivery.ErrNotFound):
			return err
		}
		p.before = id
		if kinds[0].next(p.first) {
			heap.Fix(&kinds, 0)
		} else {
			heap.Pop(&kinds)
		}
	}
	return nil
}

// row reads a row of the page.
func (p *pageReader) row(id uuid.UUID) (r delivery.Request, err error) {
	if !p.careful {
		r, _, err = p.store.row(p.tx, p.tenant, id)
		return r, err
	}
	err = guarded(func() (err error) {
		r, _, err = p.store.row(p.tx, p.tenant, id)
		return err
	})
	if errors.Is(err, errDamaged) {
		err = delivery.ErrNotFound
	}
	return r, err
}

// which says whose log to read, and of which event type (0 for all); ok is false if the
// log must be empty.
func (p *pageReader) which() (of scope, eventType uint32, ok bool) {
	p.store.mu.Lock()
	defer p.store.mu.Unlock()
	state := p.store.state
	if p.filter.EventType != "" {
		if eventType, ok = state.types[p.filter.EventType]; !ok {
			return of, 0, false
		}
	}
	if p.filter.WebhookID != uuid.Nil {
		w := state.webhook(delivery.WebhookRef{Tenant: p.tenant, ID: p.filter.WebhookID})
		if w == nil {
			return of, 0, false
		}
		return webhookScope(w.number), eventType, true
	}
	t := state.tenants[p.tenant]
	if t == nil {
		return of, 0, false
	}
	return tenantScope(t.number), eventType, true
}

// kinds finds the event types and statuses in a log, each at its newest row that is on the
// page.
func (p *pageReader) kinds(of scope, eventType uint32) kindHeap {
	b := p.tx.bucket(logBucket)
	var kinds kindHeap
	from := of[:]
	if eventType != 0 {
		from = binary.BigEndian.AppendUint32(slices.Clone(from), eventType)
	}
	prefix := from
	finder := b.cursor()
	for k, _ := finder.Seek(from); bytes.HasPrefix(k, prefix); k, _ = finder.Seek(from) {
		kind := logKind{prefix: slices.Clone(k[:kindSize]), entries: b.cursor()}
		if p.filter.Status == "" || p.filter.Status == record.Status(kind.prefix[kindSize-1] == 1) {
			if kind.seek(p.first, p.before) {
				kinds = append(kinds, &kind)
			}
		}
		from = append(slices.Clone(kind.prefix), uuid.Max[:]...)
		from = append(from, 0) // after the last row of the kind
	}
	heap.Init(&kinds)
	return kinds
}

// logKind is a position among the rows of one event type and status.
type logKind struct {
	prefix     []byte
	entries    cursor
	key, value []byte     // of the next entry
	left       []spanRows // of the span of id, the one with the newest row last
	id         uuid.UUID
}

// spanRows are the first n rows of an entry, which are in their order.
type spanRows struct {
	key, value []byte
	n          int
}

// at is the id of a row.
func (r *spanRows) at(i int) []byte {
	if i == 0 {
		return r.key[kindSize:]
	}
	return r.value[(i-1)*idSize : i*idSize]
}

func (r *spanRows) last() []byte { return r.at(r.n - 1) }

// seek moves to the newest row before a given one.
func (k *logKind) seek(first, before uuid.UUID) bool {
	k.entries.Seek(append(slices.Clone(k.prefix), before[:]...))
	k.key, k.value = k.entries.Prev()
	k.readSpan(&before)
	return k.next(first)
}

// next moves to the row before; false if there is none, or none from first on.
func (k *logKind) next(first uuid.UUID) bool {
	if len(k.left) == 0 {
		k.readSpan(nil)
	}
	end := len(k.left) - 1
	if end < 0 {
		return false
	}
	newest := k.left[end]
	k.id = uuid.UUID(newest.last())
	if newest.n--; newest.n == 0 {
		k.left = k.left[:end]
	} else { // the entry goes to where its next row belongs
		i := sort.Search(end, func(i int) bool { return bytes.Compare(k.left[i].last(), newest.last()) > 0 })
		copy(k.left[i+1:], k.left[i:end])
		k.left[i] = newest
	}
	return bytes.Compare(k.id[:], first[:]) >= 0
}

// readSpan reads the next entries, which have the rows of one span: those before a given one
// if there is one. It copies and sorts no rows, since a page may need few of many.
func (k *logKind) readSpan(before *uuid.UUID) {
	var span uint64
	for len(k.key) == logKeySize && bytes.HasPrefix(k.key, k.prefix) {
		at := packedLog.span(k.key)
		if len(k.left) > 0 && at != span {
			break
		}
		span = at
		r := spanRows{k.key, k.value, 1 + len(k.value)/idSize}
		if before != nil {
			r.n = sort.Search(r.n, func(i int) bool { return bytes.Compare(r.at(i), before[:]) >= 0 })
		}
		k.left = append(k.left, r)
		k.key, k.value = k.entries.Prev()
	}
	slices.SortFunc(k.left, func(a, b spanRows) int { return bytes.Compare(a.last(), b.last()) })
}

// kindHeap is ordered by the kinds' rows, the newest first.
type kindHeap []*logKind

func (h *kindHeap) Len() int { return len(*h) }

func (h *kindHeap) Less(i, j int) bool {
	return bytes.Compare((*h)[i].id[:], (*h)[j].id[:]) > 0
}

func (h *kindHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push is for the heap package.
func (h *kindHeap) Push(x any) { *h = append(*h, x.(*logKind)) }

// Pop is for the heap package.
func (h *kindHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// ofEvent finds the rows of an event through its deliveries: each refers to its last
// request, and each request to the one before it.
func (p *pageReader) ofEvent() error {
	number, e, err := p.store.storedEvent(p.tx, p.tenant, p.filter.EventID)
	if errors.Is(err, delivery.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if p.filter.EventType != "" && p.filter.EventType != e.Type {
		return nil
	}
	var ids []uuid.UUID
	ended := endedOf(p.tx, number)
	for _, webhook := range e.targets {
		ref, ok := p.store.reference(webhook)
		if !ok || p.filter.WebhookID != uuid.Nil && ref.ID != p.filter.WebhookID {
			continue
		}
		ids = p.ofDelivery(number, webhook, ended, ids)
	}
	ids, p.page.Next = p.filter.Newest(ids)
	for _, id := range ids {
		r, err := p.row(id)
		if errors.Is(err, delivery.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return err
		}
		p.page.Requests = append(p.page.Requests, r)
	}
	return nil
}

// ofDelivery adds the requests of one delivery that have the status asked for.
func (p *pageReader) ofDelivery(event uint64, webhook uint32, ended endedDeliveries, ids []uuid.UUID) []uuid.UUID {
	d, _ := p.store.stateOfDelivery(p.tx, event, false, webhook, ended)
	requests := p.tx.bucket(requestsBucket)
	id := d.Last
	for range delivery.MaxRequestsOfDelivery {
		value := requests.get(id[:])
		if id == uuid.Nil || value == nil {
			break
		}
		h, err := decodeRowHead(value)
		if err != nil {
			requests.undecodable(id[:])
			break
		}
		if p.filter.Status == "" || p.filter.Status == record.Status(h.success) {
			ids = append(ids, id)
		}
		id = h.previous
	}
	return ids
}
