package memory

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func (s *Store) Webhooks(_ context.Context, tenant string) ([]*delivery.Webhook, int64, error) {
	err := s.enter("Webhooks")
	defer s.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	var all []*delivery.Webhook
	for ref, w := range s.webhooks {
		if ref.Tenant == tenant {
			w := *w
			all = append(all, &w)
		}
	}
	slices.SortFunc(all, delivery.OldestFirst)
	return all, s.versions[tenant], nil
}

func (s *Store) Webhook(_ context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	err := s.enter("Webhook")
	defer s.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	w := s.webhooks[ref]
	if w == nil {
		return nil, 0, notFound("webhook", ref.ID)
	}
	found := *w
	return &found, s.versions[ref.Tenant], nil
}

func (s *Store) CreateWebhook(_ context.Context, w *delivery.Webhook) error {
	err := s.enter("CreateWebhook")
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	n := 0
	for ref := range s.webhooks {
		if ref.Tenant == w.Tenant {
			n++
		}
	}
	if n >= delivery.MaxWebhooks {
		return delivery.ErrTooManyWebhooks
	}
	created := *w
	s.webhooks[w.Ref()] = &created
	s.versions[w.Tenant]++
	return nil
}

func (s *Store) UpdateWebhook(_ context.Context, w *delivery.Webhook, version int64) error {
	err := s.enter("UpdateWebhook")
	defer s.mu.Unlock()
	switch {
	case err != nil:
		return err
	case s.webhooks[w.Ref()] == nil:
		return notFound("webhook", w.ID)
	case s.versions[w.Tenant] != version:
		return delivery.ErrConflict
	}
	changed := *w
	s.webhooks[w.Ref()] = &changed
	s.versions[w.Tenant]++
	return nil
}

func (s *Store) DeleteWebhook(_ context.Context, ref delivery.WebhookRef) error {
	err := s.enter("DeleteWebhook")
	defer s.mu.Unlock()
	switch {
	case err != nil:
		return err
	case s.webhooks[ref] == nil:
		return notFound("webhook", ref.ID)
	}
	delete(s.webhooks, ref)
	delete(s.slow, ref)
	s.versions[ref.Tenant]++
	for id, r := range s.requests {
		if r.WebhookID == ref.ID {
			delete(s.requests, id)
		}
	}
	for _, ev := range s.events {
		delete(ev.deliveries, ref.ID)
	}
	return nil
}

func (s *Store) Event(_ context.Context, tenant string, id uuid.UUID) (*delivery.Event, []delivery.Delivery, error) {
	err := s.enter("Event")
	defer s.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	ev := s.event(eventKey{tenant, id})
	if ev == nil {
		return nil, nil, notFound("event", id)
	}
	var deliveries []delivery.Delivery
	for _, d := range ev.deliveries {
		deliveries = append(deliveries, d.Delivery)
	}
	slices.SortFunc(deliveries, func(a, b delivery.Delivery) int { return bytes.Compare(a.WebhookID[:], b.WebhookID[:]) })
	found := ev.Event
	return &found, deliveries, nil
}

func (s *Store) Request(_ context.Context, tenant string, id uuid.UUID) (*delivery.Request, error) {
	err := s.enter("Request")
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	r := s.requests[id]
	if r == nil || r.Tenant != tenant {
		return nil, notFound("request", id)
	}
	found := *r
	if ev := s.event(eventKey{tenant, r.EventID}); ev != nil && ev.SentBy(r) {
		found.RequestBody = ev.Payload
	}
	return &found, nil
}

func (s *Store) Requests(_ context.Context, tenant string, f delivery.RequestFilter) (delivery.RequestPage, error) {
	err := s.enter("Requests")
	defer s.mu.Unlock()
	if err != nil {
		return delivery.RequestPage{}, err
	}
	var ids []uuid.UUID
	for id, r := range s.requests {
		if r.Tenant == tenant && f.Matches(r) {
			ids = append(ids, id)
		}
	}
	var page delivery.RequestPage
	ids, page.Next = f.Newest(ids)
	for _, id := range ids {
		page.Requests = append(page.Requests, asListed(s.requests[id]))
	}
	return page, nil
}

// asListed is a row without its bodies.
func asListed(r *delivery.Request) delivery.Request {
	row := *r
	row.ResponseBody, row.RequestBody = "", nil
	return row
}

func (s *Store) Pending(context.Context) (int64, error) {
	err := s.enter("Pending")
	defer s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	n := int64(0)
	for d, p := range s.pending {
		if s.isPending(d, p) {
			n++
		}
	}
	return n, nil
}

func (s *Store) isPending(d *scheduled, p waiting) bool {
	return d.due != 0 && s.webhooks[p.ref] != nil && s.event(eventKey{p.ref.Tenant, p.ev.ID}) != nil
}
