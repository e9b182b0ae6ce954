package delivery

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
)

// EachWebhook reads those of some webhooks that exist, in steps, and calls do with each, which does
// not change it.
func (e *Engine) EachWebhook(ctx context.Context, tenant string, ids []uuid.UUID, do func(*Webhook)) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	for step := (readStep{}); len(ids) > 0; {
		some := ids[:min(len(ids), step.size())]
		ids = ids[len(some):]
		webhooks, err := e.readStep(ctx, tenant, &step, func() ([]*Webhook, error) {
			webhooks, _, err := e.store.WebhooksOf(ctx, tenant, some)
			return webhooks, err
		})
		if err != nil {
			return err
		}
		for _, w := range webhooks {
			do(w)
		}
	}
	return nil
}

// readSome reads some of a tenant's webhooks as one step.
func (e *Engine) readSome(ctx context.Context, tenant string, step *readStep, some []*subscription) ([]*Webhook, error) {
	return e.readStep(ctx, tenant, step, func() ([]*Webhook, error) { return e.recordsOf(ctx, tenant, some) })
}

// readStep reads webhooks of a tenant as one step.
func (e *Engine) readStep(ctx context.Context, tenant string, step *readStep, read func() ([]*Webhook, error)) (webhooks []*Webhook, err error) {
	err = e.at(tenant).reads.paces.spend(ctx, tenant, func() (bytes int, err error) {
		err = e.inStep(ctx, tenant, func() (err error) {
			webhooks, err = read()
			return err
		})
		return step.note(webhooks), err
	})
	return webhooks, err
}

// inStep runs a step of a tenant's reads, for which the tenant may have to rest first.
func (e *Engine) inStep(ctx context.Context, tenant string, step func() error) error {
	return e.at(tenant).reads.paces.run(ctx, tenant, step)
}

// maxStepBytes is how large the webhooks of a step may be, about.
const maxStepBytes = 64 << 10

// readStep is how many webhooks the next step reads: by the size of those of the last one, and
// MaxWebhookPage at most.
type readStep struct{ webhooks int }

// readStep is the first step. Webhooks that are too large to be remembered are large ones.
func (s *subscriptions) readStep() readStep {
	if s.records {
		return readStep{}
	}
	return readStep{MaxWebhookPage / 5}
}

func (s *readStep) size() int { return cmp.Or(s.webhooks, MaxWebhookPage) }

// note notes how many bytes the webhooks of a step are, which it returns.
func (s *readStep) note(read []*Webhook) int {
	bytes := recordSizes(read)
	if bytes > 0 {
		s.webhooks = min(max(len(read)*maxStepBytes/bytes, 1), MaxWebhookPage)
	}
	return bytes
}

// freshSubscriptions are the tenant's as they are now.
func (e *Engine) freshSubscriptions(ctx context.Context, tenant string) (*subscriptions, error) {
	if err := e.ready(ctx); err != nil {
		return nil, err
	}
	e.subscriptions.changed(tenant)
	of, err := e.subscriptions.get(ctx, tenant, nil, e.at(tenant).reads)
	if errors.Is(err, ErrStale) {
		return nil, nothingWritten(err)
	}
	return of, err
}

// recordsOf are the webhooks of a few subscriptions, without those that were deleted meanwhile. Others
// have them, too: nobody changes them.
func (e *Engine) recordsOf(ctx context.Context, tenant string, some []*subscription) ([]*Webhook, error) {
	records := make([]*Webhook, len(some))
	ids := make([]uuid.UUID, len(some))
	for i, of := range some {
		ids[i], records[i] = of.id, of.record
	}
	if !slices.Contains(records, nil) {
		e.endAll(records)
		return records, nil
	}
	records, _, err := e.store.WebhooksOf(ctx, tenant, ids)
	e.endAll(records)
	return records, err
}

// endAll ends graces that are over, of which stores may not know yet. Webhooks that are remembered
// are not changed: a copy takes the place of one.
func (e *Engine) endAll(webhooks []*Webhook) {
	now := e.store.Now()
	for i, w := range webhooks {
		if !w.PreviousSecretUntil.IsZero() && !w.inGrace(now) {
			ended := *w
			ended.forgetPrevious()
			webhooks[i] = &ended
		}
	}
}
