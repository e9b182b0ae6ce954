package delivery

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// How long the previous secret goes on signing after a rotation: by default, and at most.
const (
	DefaultGrace = 24 * time.Hour
	MaxGrace     = 30 * 24 * time.Hour
)

// maxGraces bounds the webhooks whose grace has ended that wait to be written without their
// previous secret. Their next request reminds of others.
const maxGraces = 16

// graceLogPause is how long the log says nothing of another previous secret that could not be
// taken out.
const graceLogPause = time.Minute

// RotateSecret gives a webhook another secret and returns the result. For as long as grace says,
// which is at least 0, requests have a signature by the one before, too. If the webhook has the
// secret already, only the end of the grace changes, so that a call whose answer was lost can be
// made again. Errors, and the audit log, are as for ChangeWebhook.
func (e *Engine) RotateSecret(ctx context.Context, ref WebhookRef, secret string, grace time.Duration, audit ...Audit) (*Webhook, error) {
	return e.ChangeWebhook(ctx, ref, func(w *Webhook) {
		if secret != w.Secret {
			w.PreviousSecret = w.Secret
		}
		w.Secret, w.PreviousSecretUntil = secret, e.store.Now().Add(grace).UTC().Truncate(time.Millisecond)
		if grace == 0 || w.PreviousSecret == "" {
			w.forgetPrevious()
		}
	}, audit...)
}

// SetSecret gives the webhook another secret without a grace, and ends one; "" is for none.
func (w *Webhook) SetSecret(secret string) {
	w.Secret = secret
	w.forgetPrevious()
}

func (w *Webhook) forgetPrevious() { w.PreviousSecret, w.PreviousSecretUntil = "", time.Time{} }

// inGrace says whether the previous secret signs at a time.
func (w *Webhook) inGrace(at time.Time) bool { return at.Before(w.PreviousSecretUntil) }

// previousSecret is the one that signs, too, at a time; "" if there is none.
func (w *Webhook) previousSecret(at time.Time) string {
	if !w.inGrace(at) {
		return ""
	}
	return w.PreviousSecret
}

// endGrace takes the previous secret away if its time is over, and says whether it was.
func (w *Webhook) endGrace(now time.Time) bool {
	if w.PreviousSecretUntil.IsZero() || w.inGrace(now) {
		return false
	}
	w.forgetPrevious()
	return true
}

// noteGrace has the previous secret of a webhook taken out of the store if its time is over.
func (e *Engine) noteGrace(w *Webhook, now time.Time) {
	if w.PreviousSecretUntil.IsZero() || w.inGrace(now) {
		return
	}
	select {
	case e.graces <- w.Ref():
	default: // the next request reminds
	}
}

// endGraces takes previous secrets out of the store until the context ends. They sign nothing any
// more, so where that fails, the next request reminds.
func (e *Engine) endGraces(ctx context.Context) {
	var said time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case ref := <-e.graces:
			err := e.dropPrevious(ctx, ref)
			if err == nil || ctx.Err() != nil || time.Since(said) < graceLogPause {
				continue
			}
			said = time.Now()
			e.log().Error("the previous secret of a webhook signs no more, but cannot be taken out of the store; the next request tries again",
				zap.String("tenant", ref.Tenant), zap.Stringer("webhook_id", ref.ID), zap.Error(err))
		}
	}
}

// dropPrevious does it for one webhook. To admins this is no change: updated_at, from which what
// is known of the webhook's requests counts, stays. Who else changes or deletes the webhook at the
// same time takes the secret out, too, or the next request reminds.
func (e *Engine) dropPrevious(ctx context.Context, ref WebhookRef) error {
	p := e.at(ref.Tenant)
	p.changing.Lock()
	defer p.changing.Unlock()
	w, version, err := e.store.Webhook(ctx, ref)
	if err == nil && w.endGrace(e.store.Now()) {
		if err = e.store.UpdateWebhook(ctx, w, version); err == nil {
			e.subscriptions.changed(ref.Tenant)
		}
	}
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}
