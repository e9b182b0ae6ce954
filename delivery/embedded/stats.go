package embedded

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// RequestCounts counts the requests of a tenant.
func (s *Store) RequestCounts(_ context.Context, tenant string, since time.Time) ([]delivery.RequestCount, error) {
	number, _ := s.numbers(tenant, nil)
	var all []delivery.RequestCount
	err := s.read(func(tx *view) error {
		for _, c := range tx.tenantSlices(number, sliceOf(since)) {
			all = append(all, delivery.RequestCount{
				Since: record.SliceTime(int64(c.at)), Status: record.Status(c.success), Duration: int(c.of), N: int64(c.n),
			})
		}
		return nil
	})
	return all, err
}

// WebhookRequests counts the requests to webhooks of a tenant by the hour.
func (s *Store) WebhookRequests(_ context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]delivery.WebhookRequests, error) {
	of, numbers := s.numbers(tenant, webhooks)
	all := make([]delivery.WebhookRequests, len(webhooks))
	now := s.Now()
	first, last := max(hourOf(since), hourOf(now.Add(-delivery.HoursKept))), hourOf(now)
	// In steps, so that writers do not wait for long.
	const step = 100
	for done := 0; done < len(numbers); done += step {
		err := s.read(func(tx *view) error {
			for i := done; i < min(done+step, len(numbers)); i++ {
				hours := tx.webhookHours(of, numbers[i], first, last)
				all[i] = delivery.WebhookRequests{LastAt: lastRequest(tx, numbers[i]), Hours: hours}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// numbers gives the numbers of a tenant and of its webhooks, 0 for those that do not exist.
func (s *Store) numbers(tenant string, webhooks []uuid.UUID) (of uint32, numbers []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	numbers = make([]uint32, len(webhooks))
	if s.state == nil || s.state.tenants[tenant] == nil {
		return 0, numbers
	}
	t := s.state.tenants[tenant]
	for i, id := range webhooks {
		if w := t.webhooks[id]; w != nil {
			numbers[i] = w.number
		}
	}
	return t.number, numbers
}

// lastRequest is when the newest request to a webhook began, zero if there is none.
func lastRequest(tx *view, webhook uint32) time.Time {
	p := pageReader{tx: tx, filter: new(delivery.RequestFilter), before: uuid.Max}
	if kinds := p.kinds(webhookScope(webhook), 0); len(kinds) > 0 {
		return delivery.IDTime(kinds[0].id)
	}
	return time.Time{}
}

// WebhookPending counts the pending deliveries of webhooks of a tenant.
func (s *Store) WebhookPending(_ context.Context, tenant string, webhooks []uuid.UUID) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, errNotOpen
	}
	counts := make([]int64, len(webhooks))
	for i, id := range webhooks {
		if w := s.state.webhook(delivery.WebhookRef{Tenant: tenant, ID: id}); w != nil {
			counts[i] = int64(w.schedule.Len())
		}
	}
	return counts, nil
}
