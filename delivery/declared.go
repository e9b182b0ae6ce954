package delivery

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/backoff"
)

// Waits before the declared webhooks are stored again after that has failed.
const (
	declareBackoff    = 100 * time.Millisecond
	maxDeclareBackoff = 30 * time.Second
)

// byConfig is who does in the audit log what the configuration asks for.
const byConfig = "config"

// declaring has the webhooks in the store that the configuration declares.
type declaring struct {
	wake chan struct{} // of capacity 1

	mu    sync.Mutex
	since time.Time // when it began to fail, zero if it does not
	err   error
}

func newDeclaring() *declaring { return &declaring{wake: make(chan struct{}, 1)} }

// soon has the webhooks of the settings in force stored.
func (d *declaring) soon() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// note notes how it went, and says whether that is news.
func (d *declaring) note(err error) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	news = err != nil && (d.err == nil || d.err.Error() != err.Error())
	if d.err = err; err == nil {
		d.since = time.Time{}
	} else if d.since.IsZero() {
		d.since = time.Now()
	}
	return news
}

const errUndeclared = Reason("not all webhooks of the configuration are stored")

// health returns nil unless it has failed for too long.
func (d *declaring) health() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil || time.Since(d.since) < failsAfter {
		return nil
	}
	return fmt.Errorf("%w: %w", errUndeclared, d.err)
}

// declare stores what the settings in force declare, whenever others come into force, until the
// context ends.
func (e *Engine) declare(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.declaring.wake:
		}
		again := backoff.Backoff{First: declareBackoff, Most: maxDeclareBackoff}
		for {
			err := e.declareAll(ctx)
			if ctx.Err() != nil {
				return
			}
			if e.declaring.note(err) {
				e.log().Error("cannot store all webhooks of the configuration; trying again", zap.Error(err))
			}
			if err == nil {
				break
			}
			if again.Wait(ctx) != nil {
				return
			}
		}
	}
}

// declareAll stores the declared webhooks, and disables those that are not declared any more. One
// that cannot be stored does not keep others from it.
func (e *Engine) declareAll(ctx context.Context) error {
	s := e.settings()
	if s.Settled != nil && !s.Settled(ctx) {
		return nil // others come into force, and it is called for them
	}
	stored, err := e.store.DeclaredWebhooks(ctx)
	if err != nil {
		return err
	}
	old := make(map[WebhookRef]bool, len(stored))
	for _, ref := range stored {
		old[ref] = true
	}
	var errs []error
	for i := range s.Webhooks {
		w := s.Webhooks[i]
		if err := e.declareOne(ctx, w, old[w.Ref()]); err != nil {
			errs = append(errs, fmt.Errorf("%s of tenant %s: %w", w.ID, w.Tenant, err))
		}
		delete(old, w.Ref())
	}
	for ref := range old {
		if err := e.undeclare(ctx, ref); err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, fmt.Errorf("%s of tenant %s: %w", ref.ID, ref.Tenant, err))
		}
	}
	return errors.Join(errs...)
}

// declareOne makes a webhook as it is declared, which enables one that was disabled since. If the
// store does not know that it is declared, it is written in any case.
func (e *Engine) declareOne(ctx context.Context, w Webhook, known bool) error {
	_, err := e.changeIf(ctx, w.Ref(), func(old *Webhook) (bool, error) {
		before := *old
		*old = w
		old.CreatedAt, old.UpdatedAt, old.SecretChangedAt = before.CreatedAt, before.UpdatedAt, before.SecretChangedAt
		if !old.Enabled && !before.Enabled {
			old.DisabledAt = before.DisabledAt
		}
		return !known || !reflect.DeepEqual(before, *old), nil
	}, e.auditByConfig(ActionWebhookChanged))
	if errors.Is(err, ErrNotFound) {
		_, err = e.create(ctx, &w, e.auditByConfig(ActionWebhookCreated))
	}
	return err
}

// undeclare disables a webhook, whose log stays. When that has gone, too, nothing needs it.
func (e *Engine) undeclare(ctx context.Context, ref WebhookRef) error {
	old := false
	_, err := e.changeIf(ctx, ref, func(w *Webhook) (bool, error) {
		if w.WhyDisabled() == DisabledByConfig {
			old = e.store.Now().Sub(w.DisabledSince()) > e.settings().Retention
			return false, nil
		}
		w.Enabled, w.DisabledReason = false, DisabledByConfig
		return true, nil
	}, e.auditByConfig(ActionWebhookChanged))
	if err != nil || !old {
		return err
	}
	return e.deleteWebhook(ctx, ref, e.auditByConfig(ActionWebhookDeleted))
}

func (e *Engine) auditByConfig(action Action) []Audit {
	if audit := e.settings().AuditOwn; audit != nil {
		return []Audit{audit(byConfig, action)}
	}
	return nil
}
