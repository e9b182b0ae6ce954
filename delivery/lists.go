package delivery

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"
)

// Webhooks reads all of a tenant's webhooks, oldest first. They may take 60 MB and more: see
// FindWebhooks.
func (e *Engine) Webhooks(ctx context.Context, tenant string) ([]*Webhook, error) {
	var all []*Webhook
	err := e.eachPage(ctx, tenant, func(page []*Webhook) { all = append(all, page...) })
	return all, err
}

// EachWebhook reads those of some webhooks that exist, in steps, and calls do with each.
func (e *Engine) EachWebhook(ctx context.Context, tenant string, ids []uuid.UUID, do func(*Webhook)) error {
	if err := e.ready(ctx); err != nil {
		return err
	}
	for some := range slices.Chunk(ids, MaxWebhookPage) {
		webhooks, _, err := e.store.WebhooksOf(ctx, tenant, some)
		if err != nil {
			return err
		}
		for _, w := range webhooks {
			do(w)
		}
	}
	return nil
}

// eachPage reads a tenant's webhooks in steps, oldest first.
func (e *Engine) eachPage(ctx context.Context, tenant string, do func([]*Webhook)) error {
	of, err := e.freshSubscriptions(ctx, tenant)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(of.all, MaxWebhookPage) {
		webhooks, err := e.recordsOf(ctx, tenant, some)
		if err != nil {
			return err
		}
		do(webhooks)
	}
	return nil
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

// recordsOf are the webhooks of a few subscriptions, without those that were deleted meanwhile.
func (e *Engine) recordsOf(ctx context.Context, tenant string, some []*subscription) ([]*Webhook, error) {
	records := make([]*Webhook, len(some))
	ids := make([]uuid.UUID, len(some))
	for i, of := range some {
		if ids[i] = of.id; of.record != nil {
			w := *of.record // which the caller may change
			w.EventTypes, w.Headers, w.Metadata = slices.Clone(w.EventTypes), maps.Clone(w.Headers), maps.Clone(w.Metadata)
			records[i] = &w
		}
	}
	if !slices.Contains(records, nil) {
		return records, nil
	}
	records, _, err := e.store.WebhooksOf(ctx, tenant, ids)
	return records, err
}
