package memory

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxChanges is how many changes of a tenant's webhooks are remembered.
const maxChanges = 64

// changed raises the version of a tenant's webhooks, one of which has changed.
func (s *Store) changed(ref delivery.WebhookRef) {
	s.versions[ref.Tenant]++
	changes := append(s.changes[ref.Tenant], ref.ID)
	s.changes[ref.Tenant] = changes[max(0, len(changes)-maxChanges):]
}

// WebhookPage reads a tenant's webhooks in the order of their ids.
func (s *Store) WebhookPage(_ context.Context, tenant, after string) (delivery.WebhookPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := delivery.WebhookPage{Version: s.versions[tenant]}
	for ref, w := range s.webhooks {
		if ref.Tenant == tenant && string(ref.ID[:]) > after {
			found := w.Webhook
			page.Webhooks = append(page.Webhooks, &found)
		}
	}
	slices.SortFunc(page.Webhooks, func(a, b *delivery.Webhook) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	if len(page.Webhooks) > delivery.MaxWebhookPage {
		page.Webhooks = page.Webhooks[:delivery.MaxWebhookPage]
		page.Next = string(page.Webhooks[delivery.MaxWebhookPage-1].ID[:])
	}
	return page, nil
}

// WebhookChanges reads which webhooks the last versions changed.
func (s *Store) WebhookChanges(_ context.Context, tenant string, since int64) (delivery.WebhookChanges, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := delivery.WebhookChanges{Version: s.versions[tenant]}
	ids := s.changes[tenant]
	n := changes.Version - since
	if n < 0 || n > int64(len(ids)) {
		return changes, nil
	}
	changes.Known = true
	seen := make(map[uuid.UUID]bool)
	for _, id := range ids[len(ids)-int(n):] {
		if seen[id] {
			continue
		}
		seen[id] = true
		if w := s.webhooks[delivery.WebhookRef{Tenant: tenant, ID: id}]; w != nil {
			found := w.Webhook
			changes.Webhooks = append(changes.Webhooks, &found)
		} else {
			changes.Deleted = append(changes.Deleted, id)
		}
	}
	return changes, nil
}

// WebhooksOf reads those of some webhooks that exist.
func (s *Store) WebhooksOf(_ context.Context, tenant string, ids []uuid.UUID) ([]*delivery.Webhook, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*delivery.Webhook
	for _, id := range ids {
		if w := s.webhooks[delivery.WebhookRef{Tenant: tenant, ID: id}]; w != nil {
			found := w.Webhook
			all = append(all, &found)
		}
	}
	return all, s.versions[tenant], nil
}
