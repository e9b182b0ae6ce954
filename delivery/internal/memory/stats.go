package memory

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// counted is what requests have in common that are counted together. The webhook is
// the nil UUID where those of a tenant are, and duration is 0 where it is not.
type counted struct {
	ref      delivery.WebhookRef
	since    time.Time
	status   delivery.RequestStatus
	duration int
}

func (s *Store) count(r *delivery.Request) {
	at, ref := r.StartedAt(), delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}
	s.counts[counted{delivery.WebhookRef{Tenant: r.Tenant}, at.Truncate(delivery.StatsSlice), r.Status, delivery.DurationBucket(r.Duration)}]++
	s.counts[counted{ref, at.Truncate(time.Hour), r.Status, 0}]++
}

// forgetCounts drops what is no longer kept.
func (s *Store) forgetCounts() {
	now := time.Now()
	maps.DeleteFunc(s.counts, func(c counted, _ int64) bool {
		kept := delivery.StatsKept
		if c.ref.ID != uuid.Nil {
			kept = delivery.HoursKept
		}
		return c.since.Before(now.Add(-kept))
	})
}

func (s *Store) RequestCounts(_ context.Context, tenant string, since time.Time) ([]delivery.RequestCount, error) {
	err := s.enter("RequestCounts")
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var all []delivery.RequestCount
	for c, n := range s.counts {
		if c.ref == (delivery.WebhookRef{Tenant: tenant}) && !c.since.Before(since.Truncate(delivery.StatsSlice)) {
			all = append(all, delivery.RequestCount{Since: c.since, Status: c.status, Duration: c.duration, N: n})
		}
	}
	return all, nil
}

func (s *Store) WebhookRequests(_ context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]delivery.WebhookRequests, error) {
	err := s.enter("WebhookRequests")
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	all := make([]delivery.WebhookRequests, len(webhooks))
	hours := slices.SortedFunc(maps.Keys(s.counts), func(a, b counted) int {
		return cmp.Or(a.since.Compare(b.since), bytes.Compare(a.ref.ID[:], b.ref.ID[:]))
	})
	for i, id := range webhooks {
		ref := delivery.WebhookRef{Tenant: tenant, ID: id}
		if s.webhooks[ref] == nil {
			continue
		}
		for _, c := range hours {
			if c.ref == ref && !c.since.Before(since.Truncate(time.Hour)) {
				all[i].Add(c.since, c.status, s.counts[c])
			}
		}
		for _, r := range s.requests {
			if at := r.StartedAt(); r.WebhookID == id && r.Tenant == tenant && at.After(all[i].LastAt) {
				all[i].LastAt = at
			}
		}
	}
	return all, nil
}

func (s *Store) WebhookPending(_ context.Context, tenant string, webhooks []uuid.UUID) ([]int64, error) {
	err := s.enter("WebhookPending")
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	counts := make([]int64, len(webhooks))
	for d, p := range s.pending {
		i := slices.Index(webhooks, p.ref.ID)
		if i >= 0 && p.ref.Tenant == tenant && s.isPending(d, p) {
			counts[i]++
		}
	}
	return counts, nil
}
