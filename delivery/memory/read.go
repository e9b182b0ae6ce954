package memory

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Event reads an event and its deliveries.
func (s *Store) Event(_ context.Context, tenant string, id uuid.UUID) (*delivery.Event, []delivery.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.event(eventKey{tenant, id})
	if e == nil {
		return nil, nil, delivery.ErrNotFound
	}
	var deliveries []delivery.Delivery
	for _, d := range e.deliveries {
		if e.Erased && d.Status == delivery.DeliveryPending {
			continue
		}
		deliveries = append(deliveries, s.describe(e, d))
	}
	slices.SortFunc(deliveries, func(a, b delivery.Delivery) int { return bytes.Compare(a.WebhookID[:], b.WebhookID[:]) })
	found := e.Event
	return &found, deliveries, nil
}

// Request reads one row of the log, bodies included.
func (s *Store) Request(_ context.Context, tenant string, id uuid.UUID) (*delivery.Request, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests[id]
	if r == nil || r.Tenant != tenant {
		return nil, delivery.ErrNotFound
	}
	found := *r
	if e := s.event(eventKey{tenant, r.EventID}); e != nil && e.SentBy(r) {
		found.RequestBody = e.Payload
	}
	return &found, nil
}

// Resend reads what it takes to send a request again.
func (s *Store) Resend(_ context.Context, tenant string, id uuid.UUID) (*delivery.Webhook, *delivery.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests[id]
	if r == nil || r.Tenant != tenant {
		return nil, nil, delivery.ErrNotFound
	}
	w := s.webhooks[delivery.WebhookRef{Tenant: tenant, ID: r.WebhookID}].Webhook // a row has one
	e := s.event(eventKey{tenant, r.EventID})
	if e == nil || e.Erased || !e.SentBy(r) {
		return &w, nil, nil
	}
	sent := e.Event
	return &w, &sent, nil
}

// Requests reads a page of the log.
func (s *Store) Requests(_ context.Context, tenant string, filter delivery.RequestFilter) (delivery.RequestPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []uuid.UUID
	for id, r := range s.requests {
		if r.Tenant == tenant && (filter.LooksInto() || filter.Matches(r)) {
			ids = append(ids, id)
		}
	}
	if filter.LooksInto() {
		return s.lookInto(ids, &filter), nil
	}
	var page delivery.RequestPage
	ids, page.Next = filter.Newest(ids)
	for _, id := range ids {
		page.Requests = append(page.Requests, withoutBodies(s.requests[id]))
	}
	return page, nil
}

// lookInto looks into rows, from the newest on, for those that the filter selects. A store that
// has to read them for that does not look at too many for one page.
func (s *Store) lookInto(ids []uuid.UUID, filter *delivery.RequestFilter) (page delivery.RequestPage) {
	far := *filter
	far.Limit = delivery.MaxLook
	ids, next := far.Newest(ids)
	var looked delivery.Looked
	for i, id := range ids {
		r := s.requests[id]
		if filter.Matches(r) {
			page.Requests = append(page.Requests, withoutBodies(r))
		}
		looked.Add(r, 0)
		if i+1 < len(ids) && (looked.Far() || len(page.Requests) == filter.Limit) {
			page.Next = id
			return page
		}
	}
	page.Next = next
	return page
}

// withoutBodies copies a row without its bodies, which lists leave out.
func withoutBodies(r *delivery.Request) delivery.Request {
	row := *r
	row.ResponseBody, row.RequestBody = "", nil
	return row
}

// Pending counts the pending deliveries of all tenants.
func (s *Store) Pending(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(0)
	for _, w := range s.webhooks {
		s.dropExpired(w)
		n += int64(len(w.pending))
	}
	return n, nil
}
