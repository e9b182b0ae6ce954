package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/record"
)

const (
	// webhooksPerScript is how many webhooks one script handles.
	webhooksPerScript = 50
	// hoursPerPipeline is how many hours of counters are read together: each may take some
	// tenths of a millisecond.
	hoursPerPipeline = 24
	// commandsPerPipeline is how many short commands are sent together.
	commandsPerPipeline = 1000
)

// RequestCounts counts the requests of a tenant.
func (s *Store) RequestCounts(ctx context.Context, tenant string, since time.Time) ([]delivery.RequestCount, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	since = since.Truncate(delivery.StatsSlice)
	if oldest := now.Add(-delivery.StatsKept); since.Before(oldest) {
		since = oldest
	}
	first := record.Hour(since)
	var hours []*redis.MapStringStringCmd
	for hour, last := first, record.Hour(now)+1; hour <= last; { // Redis's clock may be ahead
		pipe := s.client().Pipeline()
		for ; hour <= last && pipe.Len() < hoursPerPipeline; hour++ {
			hours = append(hours, pipe.HGetAll(ctx, statsKey(p.base, tenant, hour)))
		}
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
	var all []delivery.RequestCount
	var bad []unreadable
	for i, fields := range hours {
		key := statsKey(p.base, tenant, first+int64(i))
		if err := s.mend(ctx, p.base, key, fields.Err()); err != nil {
			return nil, err
		}
		for field, n := range fields.Val() {
			c, err := decodeCounter(record.HourTime(first+int64(i)), field, n)
			if err != nil {
				bad = append(bad, unreadable{key: key, field: field, value: n, why: err.Error()})
			} else if !c.Since.Before(since) {
				all = append(all, c)
			}
		}
	}
	s.setAside(ctx, p.base, bad...)
	return all, nil
}

func decodeCounter(hour time.Time, field, count string) (c delivery.RequestCount, err error) {
	if len(field) != len(counter{}.field()) {
		return c, record.ErrUnreadable
	}
	c.Since = hour.Add(time.Duration(field[0]) * delivery.StatsSlice)
	c.Status, c.Duration = statusOf(field[1]), int(field[2])
	if c.N, err = strconv.ParseInt(count, 10, 64); err != nil {
		return c, fmt.Errorf("%w: %w", record.ErrUnreadable, err)
	}
	return c, nil
}

// WebhookRequests counts the requests to webhooks of a tenant by the hour.
func (s *Store) WebhookRequests(ctx context.Context, tenant string, webhooks []uuid.UUID, since time.Time) ([]delivery.WebhookRequests, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, err
	}
	refs := make([]any, len(webhooks))
	for i, id := range webhooks {
		refs[i] = refText(delivery.WebhookRef{Tenant: tenant, ID: id})
	}
	all := make([]delivery.WebhookRequests, 0, len(webhooks))
	var newest int64 // of the first webhook that is left
	var hours []any
	for day, top := any(""), any(""); len(refs) > 0; {
		args := []any{record.Hour(since), s.work, day, top, newest}
		reply, err := s.run(ctx, webhookRequestsScript, p.base, append(args, refs[:min(len(refs), webhooksPerScript)]...)...)
		if err != nil {
			return nil, err
		}
		if len(reply) < 4 || len(reply) > 3+len(refs) {
			return nil, errUnknownReply
		}
		day, top = reply[1], reply[2]
		for i, of := range reply[3:] {
			of, _ := of.([]any)
			if len(of)%3 != 1 {
				return nil, errUnknownReply
			}
			newest, _ = of[0].(int64)
			hours = append(hours, of[1:]...)
			if day != "" && i == len(reply)-4 {
				break // there is more of it
			}
			w, err := decodeWebhookRequests(newest, hours)
			if err != nil {
				return nil, err
			}
			all, refs, hours, newest = append(all, w), refs[1:], nil, 0
		}
	}
	return all, nil
}

// decodeWebhookRequests decodes what the script returns for one webhook.
func decodeWebhookRequests(newest int64, of []any) (w delivery.WebhookRequests, err error) {
	if newest > 0 {
		w.LastAt = time.UnixMilli(newest).UTC()
	}
	hours := slices.Collect(slices.Chunk(of, 3))
	slices.SortFunc(hours, func(a, b []any) int {
		first, _ := a[0].(int64)
		second, _ := b[0].(int64)
		return cmp.Compare(first, second)
	})
	for _, h := range hours {
		hour, _ := h[0].(int64)
		status, _ := h[1].(string)
		n, ok := h[2].(int64)
		if !ok || len(status) != 1 {
			return w, errUnknownReply
		}
		w.Add(record.HourTime(hour), statusOf(status[0]), n)
	}
	return w, nil
}

// WebhookPending counts the pending deliveries of webhooks of a tenant.
func (s *Store) WebhookPending(ctx context.Context, tenant string, webhooks []uuid.UUID) ([]int64, error) {
	p, err := s.at(tenant)
	if err != nil {
		return nil, err
	}
	counts := make([]int64, 0, len(webhooks))
	for ids := range slices.Chunk(webhooks, commandsPerPipeline) {
		refs := make([]any, len(ids))
		for i, id := range ids {
			refs[i] = refText(delivery.WebhookRef{Tenant: tenant, ID: id})
		}
		reply, err := s.run(ctx, webhookPendingScript, p.base, refs...)
		if err != nil {
			return nil, err
		}
		if len(reply) != 1+len(ids) {
			return nil, errUnknownReply
		}
		for _, r := range reply[1:] {
			n, _ := r.(int64)
			counts = append(counts, n)
		}
	}
	return counts, nil
}
