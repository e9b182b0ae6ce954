package memory

import (
	"context"
	"maps"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Webhook reads one webhook and the version of its tenant's set.
func (s *Store) Webhook(_ context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.webhooks[ref]
	if w == nil {
		return nil, 0, delivery.ErrNotFound
	}
	found := w.Webhook
	return &found, s.versions[ref.Tenant], nil
}

// DeclaredWebhooks names the webhooks that the configuration made.
func (s *Store) DeclaredWebhooks(context.Context) ([]delivery.WebhookRef, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []delivery.WebhookRef
	for ref, w := range s.webhooks {
		if w.Declared {
			all = append(all, ref)
		}
	}
	return all, nil
}

// CreateWebhook adds a webhook.
func (s *Store) CreateWebhook(_ context.Context, w *delivery.Webhook, most int, audit ...*delivery.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for ref := range s.webhooks {
		if ref.Tenant == w.Tenant {
			n++
		}
	}
	if n >= most {
		return delivery.ErrTooManyWebhooks
	}
	s.webhooks[w.Ref()] = &webhook{Webhook: *w, pending: make(map[*event]*scheduled)}
	s.changed(w.Ref())
	s.writeAudit(audit...)
	return nil
}

// UpdateWebhook writes a changed webhook. Its pending deliveries stay on the schedule:
// Claim skips webhooks that are not enabled.
func (s *Store) UpdateWebhook(_ context.Context, changed *delivery.Webhook, version int64, audit ...*delivery.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.webhooks[changed.Ref()]
	switch {
	case w == nil:
		return delivery.ErrNotFound
	case s.versions[changed.Tenant] != version:
		return delivery.ErrConflict
	}
	w.starts.Change(w.RateLimit, changed.RateLimit, s.Now().UnixMicro())
	w.Webhook = *changed
	s.changed(changed.Ref())
	s.writeAudit(audit...)
	return nil
}

// DeleteWebhook removes a webhook and all that belonged to it. A store with more data would
// hide that, and leave its removal to Sweep.
func (s *Store) DeleteWebhook(_ context.Context, ref delivery.WebhookRef, audit ...*delivery.AuditEntry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.webhooks[ref] == nil {
		return delivery.ErrNotFound
	}
	delete(s.webhooks, ref)
	s.changed(ref)
	s.writeAudit(audit...)
	maps.DeleteFunc(s.requests, func(_ uuid.UUID, r *delivery.Request) bool {
		return r.Tenant == ref.Tenant && r.WebhookID == ref.ID
	})
	for key, e := range s.events {
		if key.tenant == ref.Tenant {
			delete(e.deliveries, ref.ID)
		}
	}
	return nil
}
