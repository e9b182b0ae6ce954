package delivery

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
)

// maxConflicts is how often a change is tried again after another process has changed
// the tenant's webhooks.
const maxConflicts = 20

// Webhook reads one webhook; ErrNotFound if there is none.
func (e *Engine) Webhook(ctx context.Context, ref WebhookRef) (*Webhook, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	w, _, err := e.store.Webhook(ctx, ref)
	if err != nil {
		return nil, err
	}
	w.endGrace(e.store.Now()) // the store may have it for some time after
	return w, nil
}

// CreateWebhook adds a webhook and returns it with its id and times;
// ErrTooManyWebhooks if the tenant has as many as it may have. Each member must be valid; of all
// together, InvalidWebhookError says what is not. An entry of the audit log, if one is wanted, is written in the same step.
func (e *Engine) CreateWebhook(ctx context.Context, w Webhook, audit ...Audit) (*Webhook, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	if err := w.Check(); err != nil {
		return nil, err
	}
	w.ID, w.DisabledReason = NewID(e.store.Now()), ""
	return e.create(ctx, &w, audit)
}

// create stores a webhook that is valid, and returns it with its times.
func (e *Engine) create(ctx context.Context, w *Webhook, audit []Audit) (*Webhook, error) {
	w.CreatedAt = e.store.Now().UTC().Truncate(time.Millisecond)
	w.UpdatedAt, w.DisabledAt = w.CreatedAt, time.Time{}
	w.noteDisabled()
	if w.Secret != "" {
		w.SecretChangedAt = w.CreatedAt
	}
	entries := e.auditEntries(audit, nil, w)
	err := e.at(w.Tenant).reads.paces.spend(ctx, w.Tenant, func() (int, error) {
		return recordSize(w), e.store.CreateWebhook(ctx, w, e.TenantWebhooks(), entries...)
	})
	e.tellAudit(entries, err)
	if err != nil {
		return nil, err
	}
	e.subscriptions.changed(w.Tenant)
	e.warnOfSecret(w)
	return w, nil
}

// TenantWebhooks is how many webhooks a tenant may have.
func (e *Engine) TenantWebhooks() int { return cmp.Or(e.settings().TenantWebhooks, MaxWebhooks) }

// ChangeWebhook applies a change to a webhook and returns the result; ErrNotFound if
// there is none, ErrDeclared if the configuration made it. The change must leave each member valid,
// replace what it changes, and may be called more than once. InvalidWebhookError is as for
// CreateWebhook, and so is the audit log.
func (e *Engine) ChangeWebhook(ctx context.Context, ref WebhookRef, change func(*Webhook), audit ...Audit) (w *Webhook, err error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	err = e.at(ref.Tenant).reads.paces.spend(ctx, ref.Tenant, func() (bytes int, err error) {
		w, err = e.changeIf(ctx, ref, func(w *Webhook) (bool, error) {
			if w.Declared {
				return false, ErrDeclared
			}
			change(w)
			bytes = 2 * recordSize(w) // read and written
			return true, nil
		}, audit)
		return bytes, err
	})
	return w, err
}

// changeIf is ChangeWebhook for a change that may turn out not to be wanted: then it returns
// false, and there is no result; nor is there one if it returns an error.
func (e *Engine) changeIf(ctx context.Context, ref WebhookRef, change func(*Webhook) (bool, error), audit []Audit) (*Webhook, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	p := e.at(ref.Tenant)
	p.changing.Lock()
	defer p.changing.Unlock()
	for range maxConflicts {
		w, version, err := e.store.Webhook(ctx, ref)
		if err != nil {
			return nil, err
		}
		w.noteDisabled()
		w.endGrace(e.store.Now())
		before := *w
		if wanted, err := change(w); err != nil || !wanted {
			return nil, err
		}
		if err := w.Check(); err != nil {
			return nil, err
		}
		w.UpdatedAt = e.store.Now().UTC().Truncate(time.Millisecond)
		w.noteDisabled()
		if w.Secret != before.Secret {
			w.SecretChangedAt = w.UpdatedAt
		}
		entries := e.auditEntries(audit, &before, w)
		err = e.store.UpdateWebhook(ctx, w, version, entries...)
		e.tellAudit(entries, err)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e.subscriptions.changed(ref.Tenant)
		e.dispatcher.recall(ref)
		if w.Enabled {
			e.dispatcher.claimIn(p.number, 0) // it may have been disabled before
		}
		if w.Secret != before.Secret {
			e.warnOfSecret(w)
		}
		return w, nil
	}
	return nil, ErrConflict
}

// DeleteWebhook removes a webhook with its pending deliveries and its requests;
// ErrNotFound if there is none, ErrDeclared if the configuration made it. The audit log is as for
// CreateWebhook.
func (e *Engine) DeleteWebhook(ctx context.Context, ref WebhookRef, audit ...Audit) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	w, _, err := e.store.Webhook(ctx, ref)
	switch {
	case err != nil:
		return err
	case w.Declared:
		return ErrDeclared
	}
	return e.deleteWebhook(ctx, ref, audit)
}

// deleteWebhook is DeleteWebhook, also for those that the configuration made.
func (e *Engine) deleteWebhook(ctx context.Context, ref WebhookRef, audit []Audit) error {
	if err := e.remove(ctx, ref, audit); err != nil {
		return err
	}
	e.subscriptions.changed(ref.Tenant)
	e.dispatcher.recall(ref)
	e.sweepSoon()
	return nil
}

// sweepSoon has the store swept without waiting for its turn.
func (e *Engine) sweepSoon() {
	select {
	case e.swept <- struct{}{}:
	default:
	}
}

// remove has the store remove a webhook. For the audit log it is read before that, while
// nobody changes it here.
func (e *Engine) remove(ctx context.Context, ref WebhookRef, audit []Audit) error {
	if len(audit) == 0 {
		return e.store.DeleteWebhook(ctx, ref)
	}
	p := e.at(ref.Tenant)
	p.changing.Lock()
	defer p.changing.Unlock()
	w, _, err := e.store.Webhook(ctx, ref)
	if err != nil {
		return err
	}
	w.endGrace(e.store.Now())
	entries := e.auditEntries(audit, w, nil)
	err = e.store.DeleteWebhook(ctx, ref, entries...)
	e.tellAudit(entries, err)
	return err
}

// Event reads an event and its deliveries; ErrNotFound if there is none.
func (e *Engine) Event(ctx context.Context, tenant string, id uuid.UUID) (event *Event, deliveries []Delivery, err error) {
	if err := e.ready(ctx); err != nil {
		return nil, nil, err
	}
	err = e.inStep(ctx, tenant, func() (err error) {
		event, deliveries, err = e.store.Event(ctx, tenant, id)
		return err
	})
	return event, deliveries, err
}

// Request reads one row of the log, bodies and the webhook's headers included; ErrNotFound if
// there is none.
func (e *Engine) Request(ctx context.Context, tenant string, id uuid.UUID) (*Request, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	r, err := e.store.Request(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	r.splitBodies()
	// A row can be read also if its webhook cannot, for want of a key: then without its headers.
	w, _, err := e.store.Webhook(ctx, WebhookRef{tenant, r.WebhookID})
	if err == nil && !w.UpdatedAt.After(r.StartedAt()) {
		r.WebhookHeaders = e.settings().shownHeaders(w)
	}
	return r, nil
}

// Requests reads a page of the log.
func (e *Engine) Requests(ctx context.Context, tenant string, filter RequestFilter) (page RequestPage, err error) {
	if err := e.ready(ctx); err != nil {
		return RequestPage{}, err
	}
	err = e.inStep(ctx, tenant, func() (err error) {
		page, err = e.store.Requests(ctx, tenant, filter)
		return err
	})
	return page, err
}

// sweepEvery is how often the store is swept. A deletion of a webhook has it swept at
// once, too.
const sweepEvery = 10 * time.Minute

// sweep removes what is no longer kept until the context ends, in steps that are small
// enough to hold up no delivery.
func (e *Engine) sweep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-e.swept:
		}
		more, err := true, error(nil)
		for more && err == nil && ctx.Err() == nil {
			more, err = e.store.Sweep(ctx, e.settings().Retention)
		}
		if err != nil && ctx.Err() == nil {
			e.log().Warn("cannot remove expired data from the store; will try again", zap.Error(err))
		}
		timer.Reset(sweepEvery)
	}
}
