package embedded

import (
	"context"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxChanges is how many changes of a tenant's webhooks are remembered.
const maxChanges = 64

// raise raises the version of the tenant's webhooks, one of which has changed.
func (t *tenant) raise(id uuid.UUID) {
	t.version++
	t.changes = append(t.changes, id)
	if n := len(t.changes) - maxChanges; n > 0 {
		t.changes = slices.Delete(t.changes, 0, n)
	}
}

// after is where the webhooks begin in inOrder that have a higher number.
func (t *tenant) after(number uint32) int {
	i, _ := slices.BinarySearchFunc(t.inOrder, number, func(w *webhook, number uint32) int {
		if w.number <= number {
			return -1
		}
		return 1
	})
	return i
}

// webhooksOf runs a function on a tenant's webhooks, nil if there never were any. It must be
// short: nobody else reads or writes meanwhile.
func (s *Store) webhooksOf(name string, do func(t *tenant)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return errNotOpen
	}
	if t := s.state.tenants[name]; t != nil {
		do(t)
	}
	return nil
}

// WebhookPage reads a tenant's webhooks in the order of their numbers.
func (s *Store) WebhookPage(_ context.Context, of, after string) (page delivery.WebhookPage, err error) {
	number := uint64(0)
	if after != "" {
		if number, err = strconv.ParseUint(after, 10, 32); err != nil {
			return page, err
		}
	}
	err = s.webhooksOf(of, func(t *tenant) {
		page.Version = t.version
		rest := t.inOrder[t.after(uint32(number)):]
		if len(rest) > delivery.MaxWebhookPage {
			rest = rest[:delivery.MaxWebhookPage]
			page.Next = strconv.FormatUint(uint64(rest[len(rest)-1].number), 10)
		}
		page.Webhooks = make([]*delivery.Webhook, 0, len(rest))
		for _, w := range rest {
			page.Webhooks = append(page.Webhooks, w.record)
		}
	})
	return page, err
}

// WebhookChanges reads which webhooks the last versions changed.
func (s *Store) WebhookChanges(_ context.Context, of string, since int64) (changes delivery.WebhookChanges, err error) {
	changes.Known = since == 0 // as long as the tenant never had a webhook
	err = s.webhooksOf(of, func(t *tenant) {
		changes.Version = t.version
		n := t.version - since
		if changes.Known = n >= 0 && n <= int64(len(t.changes)); !changes.Known {
			return
		}
		seen := make(map[uuid.UUID]bool, n)
		for _, id := range t.changes[len(t.changes)-int(n):] {
			if seen[id] {
				continue
			}
			seen[id] = true
			if w := t.webhooks[id]; w != nil {
				changes.Webhooks = append(changes.Webhooks, w.record)
			} else {
				changes.Deleted = append(changes.Deleted, id)
			}
		}
	})
	return changes, err
}

// WebhooksOf reads those of some webhooks that exist.
func (s *Store) WebhooksOf(_ context.Context, of string, ids []uuid.UUID) (all []*delivery.Webhook, version int64, err error) {
	all = make([]*delivery.Webhook, 0, len(ids))
	err = s.webhooksOf(of, func(t *tenant) {
		version = t.version
		for _, id := range ids {
			if w := t.webhooks[id]; w != nil {
				all = append(all, w.record)
			}
		}
	})
	return all, version, err
}
