package embedded

import (
	"context"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Webhook reads one webhook and the version of its tenant's set.
func (s *Store) Webhook(_ context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, 0, errNotOpen
	}
	w := s.state.webhook(ref)
	if w == nil {
		return nil, 0, delivery.ErrNotFound
	}
	return clone(w.record), w.tenant.version, nil
}

// DeclaredWebhooks names the webhooks that the configuration made.
func (s *Store) DeclaredWebhooks(context.Context) ([]delivery.WebhookRef, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, errNotOpen
	}
	var all []delivery.WebhookRef
	for _, w := range s.state.byNumber {
		if w.record.Declared {
			all = append(all, w.record.Ref())
		}
	}
	return all, nil
}

// clone copies a webhook, so that the copy may be changed.
func clone(w *delivery.Webhook) *delivery.Webhook {
	c := *w
	c.EventTypes = append([]string(nil), w.EventTypes...)
	return &c
}

// refusal is an error that is no fault of the store: nothing was written.
type refusal struct{ err error }

// change runs a change of webhooks. If do refuses it, it must have written nothing.
func (s *Store) change(do func(*txn, *refusal) error) error {
	var r refusal
	if err := s.write(alone, func(t *txn) error { return do(t, &r) }); err != nil {
		return err
	}
	return r.err
}

// CreateWebhook adds a webhook.
func (s *Store) CreateWebhook(_ context.Context, w *delivery.Webhook, most int, audit ...*delivery.AuditEntry) error {
	w = clone(w)
	return s.change(func(t *txn, r *refusal) error {
		if of := s.state.tenants[w.Tenant]; of != nil && len(of.webhooks) >= most {
			r.err = delivery.ErrTooManyWebhooks
			return nil
		}
		of, err := s.tenant(t, w.Tenant)
		if err != nil {
			return err
		}
		b := t.rising(webhooksBucket)
		number, err := b.nextNumber()
		if err != nil {
			return err
		}
		t.committed = append(t.committed, func() { s.state.addWebhook(of, uint32(number), w) })
		if err := s.putWebhook(t, b, uint32(number), of, w); err != nil {
			return err
		}
		return s.changed(t, of, w.ID, audit)
	})
}

// UpdateWebhook writes a changed webhook, and pauses or resumes its deliveries.
func (s *Store) UpdateWebhook(_ context.Context, changed *delivery.Webhook, version int64, audit ...*delivery.AuditEntry) error {
	changed = clone(changed)
	return s.change(func(t *txn, r *refusal) error {
		w := s.state.webhook(changed.Ref())
		switch {
		case w == nil:
			r.err = delivery.ErrNotFound
			return nil
		case w.tenant.version != version:
			r.err = delivery.ErrConflict
			return nil
		}
		t.committed = append(t.committed, func() {
			w.starts.Change(w.record.RateLimit, changed.RateLimit, microseconds(t.at.schedule))
			w.record = changed
			s.state.reschedule(w, t.at.schedule, false)
		})
		if w.record.Credentials() != changed.Credentials() {
			if err := s.mustWipe(t); err != nil {
				return err
			}
		}
		if err := s.putWebhook(t, t.journaled(webhooksBucket), w.number, w.tenant, changed); err != nil {
			return err
		}
		return s.changed(t, w.tenant, changed.ID, audit)
	})
}

// DeleteWebhook removes a webhook. What belonged to it is hidden at once, and removed by
// Sweep.
func (s *Store) DeleteWebhook(_ context.Context, ref delivery.WebhookRef, audit ...*delivery.AuditEntry) error {
	return s.change(func(t *txn, r *refusal) error {
		w := s.state.webhook(ref)
		if w == nil {
			r.err = delivery.ErrNotFound
			return nil
		}
		t.committed = append(t.committed, func() { s.state.removeWebhook(w) })
		if err := s.mustWipe(t); err != nil {
			return err
		}
		key := number4(w.number)
		if err := t.journaled(webhooksBucket).delete(key); err != nil {
			return err
		}
		if err := t.journaled(slowBucket).delete(key); err != nil {
			return err
		}
		if err := t.journaled(goneBucket).put(key, number4(w.tenant.number)); err != nil {
			return err
		}
		return s.changed(t, w.tenant, ref.ID, audit)
	})
}

// changed raises the version of a tenant's webhooks, one of which has changed, and writes what
// the audit log is to have of that.
func (s *Store) changed(t *txn, of *tenant, id uuid.UUID, audit []*delivery.AuditEntry) error {
	if _, err := s.writeAudit(t, of, audit...); err != nil {
		return err
	}
	t.committed = append(t.committed, func() { of.raise(id) })
	next := *of
	next.version++
	return t.journaled(tenantsBucket).put([]byte(of.name), encodeTenant(&next))
}

// tenant finds a tenant, or adds it with a new number.
func (s *Store) tenant(t *txn, name string) (*tenant, error) {
	if known := s.state.tenants[name]; known != nil {
		return known, nil
	}
	state := s.state
	s.mu.Lock()
	made := newTenant(name, state.nextTenant)
	state.nextTenant++
	state.tenants[name] = made
	s.mu.Unlock()
	t.undo = append(t.undo, func() { delete(state.tenants, name) })
	return made, t.numbered(tenantsBucket, name, made.number, encodeTenant(made))
}

// eventType finds the number of an event type, or gives it a new one.
func (s *Store) eventType(t *txn, name string) (uint32, error) {
	if number, ok := s.state.types[name]; ok {
		return number, nil
	}
	state := s.state
	s.mu.Lock()
	number := state.nextType
	state.nextType++
	state.types[name] = number
	s.mu.Unlock()
	t.undo = append(t.undo, func() { delete(state.types, name) })
	return number, t.numbered(typesBucket, name, number, number4(number))
}

// numbered writes the record of something that has a new number, and notes the number, which
// is not given out again even if the record is lost.
func (t *txn) numbered(bucket []byte, name string, number uint32, value []byte) error {
	b := t.journaled(bucket)
	if err := b.setNumber(max(b.lastNumber(), uint64(number))); err != nil {
		return err
	}
	return b.put([]byte(name), value)
}
