package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

type statsTally struct {
	Successes int64    `json:"successes"`
	Failures  int64    `json:"failures"`
	P50MS     *float64 `json:"p50_ms"`
	P99MS     *float64 `json:"p99_ms"`
}

type statsSlice struct {
	Since time.Time `json:"since"`
	statsTally
}

type stats struct {
	Period          string    `json:"period"`
	Since           time.Time `json:"since"`
	Until           time.Time `json:"until"`
	Pending         int64     `json:"pending"`
	DisabledPending int64     `json:"disabled_pending"`
	statsTally
	Slices []statsSlice `json:"slices"`
}

type webhookStats struct {
	WebhookID     string     `json:"webhook_id"`
	Pending       int64      `json:"pending"`
	DisabledSince *time.Time `json:"disabled_since"`
	LastRequestAt *string    `json:"last_request_at"`
	Warnings      []string   `json:"warnings"`
	Hours         []struct {
		Since     time.Time `json:"since"`
		Successes int64     `json:"successes"`
		Failures  int64     `json:"failures"`
	} `json:"hours"`
}

// stats reads the stats of a period, and checks that they hang together.
func (s *site) stats(period string, headers ...string) stats {
	s.t.Helper()
	var got stats
	s.admin(http.MethodGet, "api/stats?period="+period, "", headers...).want(s.t, http.StatusOK, &got)
	shape := map[string]struct {
		slices int
		length time.Duration
	}{"hour": {12, 5 * time.Minute}, "day": {24, time.Hour}, "week": {28, 6 * time.Hour}}[period]
	begin := got.Until.Truncate(shape.length).Add(-time.Duration(shape.slices-1) * shape.length)
	if got.Period != period || len(got.Slices) != shape.slices || !got.Since.Equal(begin) {
		s.t.Fatalf("the %s until %s is the %s since %s, in %d slices", period, got.Until, got.Period, got.Since, len(got.Slices))
	}
	var sum statsTally
	for i, slice := range got.Slices {
		if want := begin.Add(time.Duration(i) * shape.length); !slice.Since.Equal(want) {
			s.t.Errorf("slice %d of the %s begins at %s, want %s", i, period, slice.Since, want)
		}
		sum.Successes += slice.Successes
		sum.Failures += slice.Failures
		some := slice.Successes+slice.Failures > 0
		if (slice.P50MS != nil) != some || (slice.P99MS != nil) != some {
			s.t.Errorf("slice %d of the %s is %+v", i, period, slice)
		}
	}
	if sum.Successes != got.Successes || sum.Failures != got.Failures {
		s.t.Errorf("the slices of the %s have %+v, and all is %+v", period, sum, got)
	}
	return got
}

func (s *site) webhookStats(headers ...string) []webhookStats {
	s.t.Helper()
	var list struct{ Data []webhookStats }
	s.admin(http.MethodGet, "api/stats/webhooks", "", headers...).want(s.t, http.StatusOK, &list)
	return list.Data
}

func TestStats(t *testing.T) {
	for name, store := range map[string]delivery.Store{
		"embedded": embedded.New(t.TempDir()),
		"redis":    redisAt(redistest.Start(t).Addr),
	} {
		t.Run(name, func(t *testing.T) { testStats(t, store) })
	}
}

func testStats(t *testing.T, store delivery.Store) {
	endpoint := newReceiver(t)
	c := newConfig().withLoopback()
	c.store = store
	c.settings.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Hour}}
	s := start(t, c)
	s.wantStatsRefused()
	for _, period := range []string{"hour", "day", "week"} {
		if got := s.stats(period); got.statsTally != (statsTally{}) || got.Pending != 0 {
			t.Errorf("before the first request the stats are %+v", got)
		}
	}
	if got := s.webhookStats(); got == nil || len(got) != 0 {
		t.Errorf("without webhooks there are %+v", got)
	}

	// A success, and a failure that waits to be tried again.
	var hook, quiet webhook
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`","event_types":["group_created"]}`).want(t, http.StatusCreated, &hook)
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`","enabled":false}`).want(t, http.StatusCreated, &quiet)
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
	s.requests("", 1)
	endpoint.status.Store(http.StatusInternalServerError)
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
	rows := s.requests("", 2)
	s.wantStats("in the end", 0)
	if got := s.stats("day", "X-Tenant", "other"); got.statsTally != (statsTally{}) || got.Pending != 0 || len(s.webhookStats("X-Tenant", "other")) != 0 {
		t.Errorf("another tenant has %+v", got)
	}
	s.wantWebhookStats(hook.ID, quiet.ID, rows[0].StartedAt, nil)
	for ids, want := range map[string]string{
		quiet.ID: quiet.ID, noID: "", strings.ToUpper(hook.ID) + "," + noID + "," + hook.ID: hook.ID,
		strings.Repeat(","+quiet.ID, 200)[1:]: quiet.ID,
	} {
		var list struct{ Data []webhookStats }
		s.admin(http.MethodGet, "api/stats/webhooks?webhook_ids="+ids, "").want(t, http.StatusOK, &list)
		if list.Data == nil || len(list.Data) != min(1, len(want)) || want != "" && list.Data[0].WebhookID != want {
			t.Errorf("asked for %s there are %+v", ids, list.Data)
		}
	}

	var disabled, changed webhook
	s.admin(http.MethodPatch, "api/webhooks/"+hook.ID, `{"enabled":false}`).want(t, http.StatusOK, &disabled)
	s.wantStats("while it is disabled", 1)
	s.admin(http.MethodPatch, "api/webhooks/"+hook.ID, `{"description":"off"}`).want(t, http.StatusOK, &changed)
	s.wantWebhookStats(hook.ID, quiet.ID, rows[0].StartedAt, &disabled.UpdatedAt)
	s.admin(http.MethodPatch, "api/webhooks/"+hook.ID, `{"enabled":true}`).want(t, http.StatusOK, nil)
	s.wantStats("enabled again", 0)
	s.wantWebhookStats(hook.ID, quiet.ID, rows[0].StartedAt, nil)

	s.admin(http.MethodDelete, "api/webhooks/"+hook.ID, "").want(t, http.StatusNoContent, nil)
	if got := s.stats("day"); got.Successes != 1 || got.Failures != 1 || got.Pending != 0 {
		t.Errorf("after the webhook was deleted the stats are %+v", got)
	}
	if got := s.webhookStats(); len(got) != 1 || got[0].WebhookID != quiet.ID {
		t.Errorf("there are left %+v", got)
	}
}

// wantStats checks the stats after a success, and a failure whose delivery is pending.
func (s *site) wantStats(when string, disabled int64) {
	s.t.Helper()
	for _, period := range []string{"hour", "day", "week"} {
		got := s.stats(period)
		if got.Successes != 1 || got.Failures != 1 || got.Pending != 1 || got.DisabledPending != disabled {
			s.t.Errorf("%s the stats of the %s are %+v", when, period, got)
		}
		if got.P50MS == nil || got.P99MS == nil || *got.P50MS <= 0 || *got.P99MS < *got.P50MS {
			s.t.Errorf("%s half take %v ms, 99 of 100 %v", when, got.P50MS, got.P99MS)
		}
	}
}

// wantStatsRefused asks in ways that are refused.
func (s *site) wantStatsRefused() {
	s.t.Helper()
	for path, field := range map[string]string{
		"api/stats?period=year": "period", "api/stats?period=": "period", "api/stats?period=day&period=day": "period",
		"api/stats?webhook_id=x": "webhook_id", "api/stats/webhooks?period=day": "period",
		"api/stats/webhooks?webhook_ids=x": "webhook_ids", "api/stats/webhooks?webhook_ids=": "webhook_ids",
		"api/stats/webhooks?webhook_ids=" + noID + ",":                        "webhook_ids",
		"api/stats/webhooks?webhook_ids=" + strings.Repeat(","+noID, 201)[1:]: "webhook_ids",
	} {
		p := s.admin(http.MethodGet, path, "").wantProblem(s.t, http.StatusBadRequest)
		if len(p.Errors) != 1 || p.Errors[0].Field != field {
			s.t.Errorf("%s: %+v", path, p)
		}
	}
	for _, path := range []string{"/hooks/api/stats", "/hooks/api/stats/webhooks"} {
		s.do(http.MethodGet, path, "").wantProblem(s.t, http.StatusUnauthorized)
		s.do(http.MethodGet, path, "", "Authorization", asEmitter).wantProblem(s.t, http.StatusForbidden)
	}
	var got stats
	s.admin(http.MethodGet, "api/stats", "").want(s.t, http.StatusOK, &got)
	if got.Period != "day" {
		s.t.Errorf("the period is %q unless asked for", got.Period)
	}
}

// wantWebhookStats checks a webhook with a success, a failure and a pending delivery,
// and one that never was enabled.
func (s *site) wantWebhookStats(id, quiet, last string, disabled *time.Time) {
	s.t.Helper()
	all := s.webhookStats()
	if len(all) != 2 || all[0].WebhookID != id || all[1].WebhookID != quiet {
		s.t.Fatalf("the webhooks are %+v", all)
	}
	got := all[0]
	if got.Pending != 1 || got.LastRequestAt == nil || *got.LastRequestAt != last {
		s.t.Errorf("the webhook is %+v, its last request at %s", got, last)
	}
	if (got.DisabledSince == nil) != (disabled == nil) || disabled != nil && !got.DisabledSince.Equal(*disabled) {
		s.t.Errorf("the webhook is disabled since %v, want %v", got.DisabledSince, disabled)
	}
	var successes, failures int64
	for _, h := range got.Hours { // two if the hour has just begun
		successes += h.Successes
		failures += h.Failures
		if h.Since != h.Since.Truncate(time.Hour) || h.Successes+h.Failures == 0 {
			s.t.Errorf("an hour is %+v", h)
		}
	}
	if successes != 1 || failures != 1 {
		s.t.Errorf("the hours are %+v", got.Hours)
	}
	if other := all[1]; other.Pending != 0 || other.LastRequestAt != nil || other.DisabledSince == nil || other.Hours == nil || len(other.Hours) != 0 {
		s.t.Errorf("the other webhook is %+v", other)
	}
}
