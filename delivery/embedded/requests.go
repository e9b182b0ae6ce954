package embedded

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

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
			if r.RequestBody = e.Payload; e.Erased {
				r.ResponseBody = ""
			}
		}
		return err
	})
	return found, err
}

// Resend reads what it takes to send a request again.
func (s *Store) Resend(_ context.Context, tenant string, id uuid.UUID) (w *delivery.Webhook, sent *delivery.Event, err error) {
	err = s.read(func(tx *view) error {
		w, sent = nil, nil
		r, _, err := s.row(tx, tenant, id)
		if err != nil {
			return err
		}
		if w, _, err = s.Webhook(context.Background(), delivery.WebhookRef{Tenant: tenant, ID: r.WebhookID}); err != nil {
			return err
		}
		_, e, err := s.decryptedEvent(tx, tenant, r.EventID)
		if errors.Is(err, delivery.ErrNotFound) {
			return nil
		}
		if err == nil && !e.Erased && e.SentBy(&r) {
			sent = &e.Event
		}
		return err
	})
	return w, sent, err
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
	f.Narrow()
	page, err := s.page(tenant, &f, false)
	if errors.Is(err, errDamaged) {
		page, err = s.page(tenant, &f, true)
	}
	return page, err
}

// page reads a page of the log, in steps. If it is to be careful, it leaves out rows on pages of
// the database that are damaged.
func (s *Store) page(tenant string, f *delivery.RequestFilter, careful bool) (delivery.RequestPage, error) {
	p := pageReader{store: s, tenant: tenant, filter: f, careful: careful}
	var ok bool
	if p.first, p.before, ok = f.Bounds(); !ok {
		return delivery.RequestPage{}, nil
	}
	step := p.log()
	if f.EventID != uuid.Nil {
		step = p.event()
	}
	err := s.inSteps(step) // which fills the page
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
	looked        delivery.Looked
}

// add reads the next row, and adds it if the filter selects it.
func (p *pageReader) add(id uuid.UUID, left *int) error {
	r, body, err := p.row(id)
	*left -= 2 + body/bytesPerWork
	switch {
	case errors.Is(err, delivery.ErrNotFound):
		return nil
	case err != nil:
		return err
	case p.filter.Matches(&r):
		p.page.Requests = append(p.page.Requests, r)
	}
	p.looked.Add(&r, body)
	return nil
}

// bytesPerWork is what of a body is read, since its checksum is checked, in the time of a look-up.
const bytesPerWork = 4 << 10

// row reads a row of the page, and says how long its body is.
func (p *pageReader) row(id uuid.UUID) (r delivery.Request, size int, err error) {
	read := func() (err error) {
		var body []byte
		r, body, err = p.store.row(p.tx, p.tenant, id)
		size = len(body)
		return err
	}
	if !p.careful {
		return r, size, read()
	}
	if err = guarded(read); errors.Is(err, errDamaged) {
		err = delivery.ErrNotFound
	}
	return r, size, err
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
