package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// The periods of GET /api/stats.
const (
	periodHour = "hour"
	periodDay  = "day"
	periodWeek = "week"
)

var periods = map[string]delivery.Period{
	periodHour: {Slices: 12, Length: delivery.StatsSlice},
	periodDay:  {Slices: 24, Length: time.Hour},
	periodWeek: {Slices: 28, Length: 6 * time.Hour},
}

// tally is how requests ended, and how long they took.
type tally struct {
	Successes int64    `json:"successes"`
	Failures  int64    `json:"failures"`
	P50MS     *float64 `json:"p50_ms"`
	P99MS     *float64 `json:"p99_ms"`
}

func newTally(t *delivery.Tally) tally {
	return tally{Successes: t.Successes, Failures: t.Failures, P50MS: millisOrNull(t, 50), P99MS: millisOrNull(t, 99)}
}

func millisOrNull(t *delivery.Tally, percent int64) *float64 {
	d, ok := t.Percentile(percent)
	if !ok {
		return nil
	}
	return new(float64(d.Microseconds()) / 1000)
}

// stats are of the requests of a tenant in a period.
type stats struct {
	Period          string    `json:"period"`
	Since           time.Time `json:"since"`
	Until           time.Time `json:"until"`
	Pending         int64     `json:"pending"`
	DisabledPending int64     `json:"disabled_pending"`
	tally
	Slices []statsSlice `json:"slices"`
}

type statsSlice struct {
	Since time.Time `json:"since"`
	tally
}

// getStats handles GET /api/stats.
func getStats(ctx context.Context, c *call) (response, error) {
	name := periodDay
	if c.query.Has("period") {
		name = c.query.Get("period")
	}
	period, ok := periods[name]
	if !ok {
		return response{}, badParameter("period", "This must be hour, day or week.")
	}
	s, err := c.api.Engine.TenantStats(ctx, c.Tenant, period)
	if err != nil {
		return response{}, err
	}
	out := stats{
		Period: name, Since: s.Since, Until: s.Until, Pending: s.Pending, DisabledPending: s.DisabledPending,
		tally: newTally(&s.Tally), Slices: make([]statsSlice, len(s.Slices)),
	}
	for i := range s.Slices {
		out.Slices[i] = statsSlice{Since: s.Slices[i].Since, tally: newTally(&s.Slices[i].Tally)}
	}
	return response{status: http.StatusOK, body: out}, nil
}

// webhookStats is how things stand with a webhook.
type webhookStats struct {
	WebhookID     uuid.UUID   `json:"webhook_id"`
	Pending       int64       `json:"pending"`
	DisabledSince *time.Time  `json:"disabled_since"`
	LastRequestAt *time.Time  `json:"last_request_at"`
	Warnings      []string    `json:"warnings"`
	Hours         []hourCount `json:"hours"`
}

type hourCount struct {
	Since     time.Time `json:"since"`
	Successes int64     `json:"successes"`
	Failures  int64     `json:"failures"`
}

// getWebhookStats handles GET /api/stats/webhooks.
func getWebhookStats(ctx context.Context, c *call) (response, error) {
	var ids []uuid.UUID
	if c.query.Has("webhook_ids") {
		for text := range strings.SplitSeq(c.query.Get("webhook_ids"), ",") {
			id, ok := parseID(text)
			if !ok || len(ids) == maxLimit {
				return response{}, badParameter("webhook_ids", fmt.Sprintf("This must be 1 to %d UUIDs of 36 characters, separated by commas.", maxLimit))
			}
			ids = append(ids, id)
		}
	}
	all, err := c.api.Engine.WebhookStats(ctx, c.Tenant, ids...)
	if err != nil {
		return response{}, err
	}
	out := make([]webhookStats, len(all))
	for i := range all {
		w := &all[i]
		out[i] = webhookStats{
			WebhookID: w.WebhookID, Pending: w.Pending, DisabledSince: timeOrNull(w.DisabledSince),
			LastRequestAt: timeOrNull(w.LastAt), Warnings: w.Warnings, Hours: make([]hourCount, len(w.Hours)),
		}
		for j, h := range w.Hours {
			out[i].Hours[j] = hourCount(h)
		}
	}
	return response{status: http.StatusOK, body: list[webhookStats]{out}}, nil
}

// periodSchema is that of the query parameter.
func periodSchema() *jsonschema.Schema {
	s := enumSchema(periodHour, periodDay, periodWeek)
	s.Default = jsonOf(periodDay)
	return s
}

// webhookIDsSchema is that of the query parameter.
func webhookIDsSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "array", Items: uuidSchema(), MinItems: new(1), MaxItems: new(maxLimit)}
}

// stats defines the responses about stats.
func (b *schemas) stats() {
	slice, all := defineOutput[statsSlice](b, "StatsSlice"), defineOutput[stats](b, "Stats")
	for _, s := range []*jsonschema.Schema{slice, all} {
		b.atLeast(s, 0, "successes", "failures", "p50_ms", "p99_ms")
		b.member(s, "p50_ms").Description = "The duration that half of the requests did not exceed; null if there were none."
		b.member(s, "p99_ms").Description = "The duration that 99 of 100 requests did not exceed; null if there were none."
		b.member(s, "since").Description = "When the period or slice began."
	}
	b.set(all, "period", enumSchema(periodHour, periodDay, periodWeek))
	b.atLeast(all, 0, "pending", "disabled_pending")
	b.member(all, "until").Description = "Now."
	b.member(all, "pending").Description = "Deliveries that are pending now, including those of disabled webhooks."
	b.member(all, "disabled_pending").Description = "How many of these wait for their webhook to be enabled."
	b.member(all, "slices").Description = "The whole period without gaps, oldest first."

	b.atLeast(defineOutput[hourCount](b, "HourCount"), 0, "successes", "failures")
	w := defineOutput[webhookStats](b, "WebhookStats")
	b.atLeast(w, 0, "pending")
	b.member(w, "disabled_since").Description = "When the webhook was disabled; null while it is enabled."
	b.member(w, "last_request_at").Description = "When its newest request in the log started; null if there is none."
	b.member(w, "warnings").Description = "Sentences about what may be a mistake, such as in its secret."
	b.member(w, "hours").Description = "Those of the last 24 hours, including the current one, that had requests, oldest first."
	defineOutput[list[webhookStats]](b, "WebhookStatsList")
}
