package delivery

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// WebhookPlace is a place in the list of a tenant's webhooks, oldest first: that of the webhook
// with this time and id, or where it was. The zero value is before all.
type WebhookPlace struct {
	CreatedAt time.Time
	ID        uuid.UUID
}

// Place is the webhook's place in the list.
func (w *Webhook) Place() WebhookPlace { return WebhookPlace{w.CreatedAt, w.ID} }

// behind reports whether a subscription is behind a place.
func (s *subscription) behind(p WebhookPlace) bool {
	return p == WebhookPlace{} ||
		cmp.Or(cmp.Compare(s.created, p.CreatedAt.UnixNano()), bytes.Compare(s.id[:], p.ID[:])) > 0
}

// Webhooks reads all of a tenant's webhooks, oldest first. They may take 60 MB and more: see
// WebhookPage.
func (e *Engine) Webhooks(ctx context.Context, tenant string) ([]*Webhook, error) {
	var all []*Webhook
	err := e.eachPage(ctx, tenant, func(page []*Webhook) { all = append(all, page...) })
	return all, err
}

// WebhookPage reads up to limit of a tenant's webhooks behind a place, oldest first, and reports
// whether there are more. It reads them in small steps, for which nobody else waits.
func (e *Engine) WebhookPage(ctx context.Context, tenant string, after WebhookPlace, limit int) (page []*Webhook, more bool, err error) {
	of, err := e.freshSubscriptions(ctx, tenant)
	if err != nil {
		return nil, false, err
	}
	rest := of.all
	first, _ := slices.BinarySearchFunc(rest, after, func(s *subscription, p WebhookPlace) int {
		if s.behind(p) {
			return 1
		}
		return -1
	})
	rest = rest[first:]
	for len(page) < limit && len(rest) > 0 { // some may be deleted meanwhile
		n := min(len(rest), limit-len(page), MaxWebhookPage)
		some, err := e.recordsOf(ctx, tenant, rest[:n])
		if err != nil {
			return nil, false, err
		}
		page, rest = append(page, some...), rest[n:]
	}
	return page, len(rest) > 0, nil
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
			w.EventTypes = slices.Clone(w.EventTypes)
			records[i] = &w
		}
	}
	if !slices.Contains(records, nil) {
		return records, nil
	}
	records, _, err := e.store.WebhooksOf(ctx, tenant, ids)
	return records, err
}
