package embedded

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

// RequestCounts counts the requests of a tenant.
func (s *Store) RequestCounts(_ context.Context, tenant string, since time.Time) ([]delivery.RequestCount, error) {
	number, _ := s.numbers(tenant, nil)
	var all []delivery.RequestCount
	const day = uint32(24 * time.Hour / delivery.StatsSlice)
	next, last := sliceOf(since), sliceOf(s.Now())
	err := s.inSteps(func(tx *view, _ *int) (more bool, err error) {
		to := next + day
		if next+day > last { // what was counted when the clock was ahead, too
			to = math.MaxUint32
		}
		for _, c := range tx.tenantSlices(number, next, to) {
			all = append(all, delivery.RequestCount{
				Since: record.SliceTime(int64(c.at)), Status: record.Status(c.success), Duration: int(c.of), N: int64(c.n),
			})
		}
		next = to
		return to < math.MaxUint32, nil
	})
	return all, err
}

// WebhookRequests counts the requests to webhooks of a tenant by the hour.
func (s *Store) WebhookRequests(_ context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]delivery.WebhookRequests, error) {
	of, numbers := s.numbers(tenant, webhooks)
	all := make([]delivery.WebhookRequests, len(webhooks))
	now := s.Now()
	first, last := max(hourOf(since), hourOf(now.Add(-delivery.HoursKept))), hourOf(now)
	i, scan := 0, (*kindScan)(nil) // of the log of webhook i, nil before
	err := s.inSteps(func(tx *view, left *int) (more bool, err error) {
		for ; i < len(numbers); i, scan = i+1, nil {
			if *left <= 0 {
				return true, nil
			}
			if scan == nil {
				scan = newKindScan(webhookScope(numbers[i]), 0)
				all[i].Hours = tx.webhookHours(of, numbers[i], first, last)
				*left -= 2 * int(last-first+1)
			}
			if !scan.step(tx, left) {
				return true, nil
			}
			if len(scan.kinds) > 0 {
				all[i].LastAt = delivery.IDTime(scan.kinds[0].id)
			}
		}
		return false, nil
	})
	if err != nil {
		return nil, err
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
