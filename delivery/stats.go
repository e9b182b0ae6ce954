package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

const (
	// StatsSlice is the shortest period for which requests are counted.
	StatsSlice = 5 * time.Minute
	// StatsKept is how long counts of a tenant's requests are kept: a week, whose first
	// slice began earlier, and some more.
	StatsKept = 8 * 24 * time.Hour
	// HoursKept is the same for the hourly counts of webhooks, of which a day is shown.
	HoursKept = 26 * time.Hour
)

// RequestCount is how many requests of a tenant began in one slice, ended with one
// status, and have durations of one bucket. Stores leave out counts of zero.
type RequestCount struct {
	Since    time.Time // when the slice began: a multiple of StatsSlice
	Status   RequestStatus
	Duration int // see DurationBucket
	N        int64
}

// WebhookRequests is how the requests to one webhook ended lately.
type WebhookRequests struct {
	// LastAt is when the newest request in the log began, zero if there is none.
	LastAt time.Time
	// Hours are the hours that had requests, oldest first.
	Hours []HourCount
}

// HourCount is how the requests that began in one hour ended.
type HourCount struct {
	Since               time.Time // when the hour began
	Successes, Failures int64
}

// Add counts n requests that began in an hour. Hours must come in order.
func (w *WebhookRequests) Add(hour time.Time, status RequestStatus, n int64) {
	if last := len(w.Hours) - 1; last < 0 || !w.Hours[last].Since.Equal(hour) {
		w.Hours = append(w.Hours, HourCount{Since: hour})
	}
	last := &w.Hours[len(w.Hours)-1]
	if status == RequestSuccess {
		last.Successes += n
	} else {
		last.Failures += n
	}
}

// Period is a period that ends now, in slices of equal length. Their length is a
// multiple of StatsSlice and divides a day; they begin at multiples of it, in UTC. The
// last one is still in progress.
type Period struct {
	Slices int
	Length time.Duration // of a slice
}

// TenantStats is how a tenant's requests ended in a period, and what is pending now.
type TenantStats struct {
	Since, Until time.Time
	// Pending counts all pending deliveries, DisabledPending those of them that wait
	// for their webhook to be enabled.
	Pending, DisabledPending int64
	Tally
	// Slices of the period, oldest first.
	Slices []StatsSlot
}

// StatsSlot is one slice of a period.
type StatsSlot struct {
	Since time.Time
	Tally
}

// WebhookStats is the state of one webhook.
type WebhookStats struct {
	WebhookID uuid.UUID
	Pending   int64
	// DisabledSince is zero while the webhook is enabled.
	DisabledSince time.Time
	// Warnings are sentences about what may be a mistake.
	Warnings []string
	// Of the last 24 hours, including the current one.
	WebhookRequests
}

// TenantStats counts a tenant's requests by when they began. The period must lie within
// StatsKept.
func (e *Engine) TenantStats(ctx context.Context, tenant string, period Period) (*TenantStats, error) {
	of, err := e.freshSubscriptions(ctx, tenant)
	if err != nil {
		return nil, err
	}
	pending, err := e.webhookPending(ctx, tenant, of.list.ids())
	if err != nil {
		return nil, err
	}
	now := e.store.Now().UTC()
	first := now.Truncate(period.Length).Add(-time.Duration(period.Slices-1) * period.Length)
	stats := &TenantStats{Since: first, Until: now.Truncate(time.Millisecond), Slices: make([]StatsSlot, period.Slices)}
	for i := range stats.Slices {
		stats.Slices[i].Since = first.Add(time.Duration(i) * period.Length)
	}
	var counts []RequestCount
	if err := e.inStep(ctx, tenant, func() (err error) {
		counts, err = e.store.RequestCounts(ctx, tenant, first)
		return err
	}); err != nil {
		return nil, err
	}
	for _, c := range counts {
		// A request that has just begun may be ahead of this process's clock.
		if i := int(c.Since.Sub(first) / period.Length); i >= 0 && i < period.Slices {
			stats.Slices[i].add(c.Status, c.Duration, c.N)
			stats.add(c.Status, c.Duration, c.N)
		}
	}
	i := 0
	for w := range of.list.all() {
		stats.Pending += pending[i]
		if !w.enabled {
			stats.DisabledPending += pending[i]
		}
		i++
	}
	return stats, nil
}

// WebhookStats returns the state of a tenant's webhooks, oldest first: of all, or of
// those with the given ids, if there are any.
func (e *Engine) WebhookStats(ctx context.Context, tenant string, ids ...uuid.UUID) ([]WebhookStats, error) {
	stats, err := e.webhookStates(ctx, tenant, ids)
	if err != nil {
		return nil, err
	}
	ids = make([]uuid.UUID, len(stats))
	for i := range stats {
		ids[i] = stats[i].WebhookID
	}
	pending, err := e.webhookPending(ctx, tenant, ids)
	if err != nil {
		return nil, err
	}
	since := e.store.Now().UTC().Truncate(time.Hour).Add(-23 * time.Hour)
	requests, err := e.webhookRequests(ctx, tenant, ids, since)
	if err != nil {
		return nil, err
	}
	for i := range stats {
		stats[i].Pending, stats[i].WebhookRequests = pending[i], requests[i]
	}
	return stats, nil
}

// statBytes is for how many bytes of webhooks it counts to count the requests of one.
const statBytes = 1 << 10

// webhookRequests counts the requests of webhooks of a tenant, in steps.
func (e *Engine) webhookRequests(ctx context.Context, tenant string, ids []uuid.UUID, since time.Time) ([]WebhookRequests, error) {
	requests := make([]WebhookRequests, 0, len(ids))
	for some := range slices.Chunk(ids, MaxWebhookPage) {
		if err := e.at(tenant).reads.paces.spend(ctx, tenant, func() (bytes int, err error) {
			err = e.inStep(ctx, tenant, func() error {
				counted, err := e.store.WebhookRequests(ctx, tenant, some, since)
				requests = append(requests, counted...)
				return err
			})
			return statBytes * len(some), err
		}); err != nil {
			return nil, err
		}
	}
	return requests, nil
}

// pendingPerStep is for how many webhooks one step counts what is pending.
const pendingPerStep = 10 * MaxWebhookPage

// webhookPending counts the pending deliveries of webhooks of a tenant, in steps.
func (e *Engine) webhookPending(ctx context.Context, tenant string, ids []uuid.UUID) ([]int64, error) {
	pending := make([]int64, 0, len(ids))
	for some := range slices.Chunk(ids, pendingPerStep) {
		if err := e.inStep(ctx, tenant, func() error {
			counted, err := e.store.WebhookPending(ctx, tenant, some)
			pending = append(pending, counted...)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return pending, nil
}

// webhookStates are the states of a tenant's webhooks, oldest first, without what is counted: of
// all, or of those with the ids. Those of all are what is remembered, so that no webhook is read.
func (e *Engine) webhookStates(ctx context.Context, tenant string, ids []uuid.UUID) ([]WebhookStats, error) {
	standard := e.settings().StandardWebhooks
	if len(ids) == 0 {
		of, err := e.freshSubscriptions(ctx, tenant)
		if err != nil {
			return nil, err
		}
		states := make([]WebhookStats, 0, of.list.length)
		for w := range of.list.all() {
			states = append(states, w.state(standard))
		}
		return states, nil
	}
	var found []*Webhook
	if err := e.EachWebhook(ctx, tenant, ids, func(w *Webhook) { found = append(found, w) }); err != nil {
		return nil, err
	}
	slices.SortFunc(found, OldestFirst)
	found = slices.CompactFunc(found, func(a, b *Webhook) bool { return a.ID == b.ID })
	states := make([]WebhookStats, len(found))
	for i, w := range found {
		states[i] = newSubscription(w).state(standard)
	}
	return states, nil
}

func (s *subscription) state(standard bool) WebhookStats {
	state := WebhookStats{WebhookID: s.id}
	if !s.enabled {
		state.DisabledSince = time.Unix(0, s.disabledSince).UTC()
	}
	warning := s.warnings.Value().usual
	if standard {
		warning = s.warnings.Value().standard
	}
	if warning != "" {
		state.Warnings = []string{warning}
	}
	return state
}
