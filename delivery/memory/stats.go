package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// counted is what requests that are counted together have in common. A tenant's requests
// are counted by slice and duration, with the nil UUID as the webhook; a webhook's are
// counted by hour.
type counted struct {
	ref      delivery.WebhookRef
	since    time.Time
	status   delivery.RequestStatus
	duration int
}

// count counts a request whose row is new.
func (s *Store) count(r *delivery.Request) {
	at := r.StartedAt()
	s.counts[counted{
		ref: delivery.WebhookRef{Tenant: r.Tenant}, since: at.Truncate(delivery.StatsSlice),
		status: r.Status, duration: delivery.DurationBucket(r.Duration),
	}]++
	s.counts[counted{
		ref: delivery.WebhookRef{Tenant: r.Tenant, ID: r.WebhookID}, since: at.Truncate(time.Hour),
		status: r.Status,
	}]++
}

// RequestCounts counts the requests of a tenant.
func (s *Store) RequestCounts(_ context.Context, tenant string, since time.Time) ([]delivery.RequestCount, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []delivery.RequestCount
	for c, n := range s.counts {
		if c.ref == (delivery.WebhookRef{Tenant: tenant}) && !c.since.Before(since.Truncate(delivery.StatsSlice)) {
			all = append(all, delivery.RequestCount{Since: c.since, Status: c.status, Duration: c.duration, N: n})
		}
	}
	return all, nil
}

// WebhookRequests counts the requests to webhooks of a tenant by the hour.
func (s *Store) WebhookRequests(_ context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]delivery.WebhookRequests, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldestFirst := slices.SortedFunc(maps.Keys(s.counts), func(a, b counted) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.status, b.status))
	})
	all := make([]delivery.WebhookRequests, len(webhooks))
	for i, id := range webhooks {
		ref := delivery.WebhookRef{Tenant: tenant, ID: id}
		if s.webhooks[ref] == nil {
			continue
		}
		for _, c := range oldestFirst {
			if c.ref == ref && !c.since.Before(since.Truncate(time.Hour)) {
				all[i].Add(c.since, c.status, s.counts[c])
			}
		}
		for _, r := range s.requests {
			if at := r.StartedAt(); r.Tenant == tenant && r.WebhookID == id && at.After(all[i].LastAt) {
				all[i].LastAt = at
			}
		}
	}
	return all, nil
}

// WebhookPending counts the pending deliveries of webhooks of a tenant.
func (s *Store) WebhookPending(_ context.Context, tenant string, webhooks []uuid.UUID) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]int64, len(webhooks))
	for i, id := range webhooks {
		if w := s.webhooks[delivery.WebhookRef{Tenant: tenant, ID: id}]; w != nil {
			s.dropExpired(w)
			counts[i] = int64(len(w.pending))
		}
	}
	return counts, nil
}
