package storetest

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Webhooks reads all of a tenant's webhooks page by page, oldest first, and the version of that set.
func Webhooks(ctx context.Context, s delivery.Store, tenant string) ([]*delivery.Webhook, int64, error) {
	const tries = 100 // while others change them
	for range tries {
		all, version, same, err := readPages(ctx, s, tenant)
		if err != nil || same {
			return all, version, err
		}
	}
	return nil, 0, errors.New("the webhooks change faster than they are read")
}

// readPages reads the pages once, and says whether all are of the same version.
func readPages(ctx context.Context, s delivery.Store, tenant string) (all []*delivery.Webhook, version int64, same bool, err error) {
	seen := make(map[uuid.UUID]bool)
	for first, after := true, ""; first || after != ""; first = false {
		page, err := s.WebhookPage(ctx, tenant, after)
		if err != nil {
			return nil, 0, false, err
		}
		if !first && page.Version != version {
			return nil, 0, false, nil
		}
		for _, w := range page.Webhooks {
			if !seen[w.ID] { // it may be in more than one page
				seen[w.ID] = true
				all = append(all, w)
			}
		}
		version, after = page.Version, page.Next
	}
	slices.SortFunc(all, delivery.OldestFirst)
	return all, version, true, nil
}
