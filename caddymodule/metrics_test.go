package caddymodule_test

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// series are the values of this module's metrics, by name and labels.
type series map[string]float64

// scrape reads metrics in Prometheus's text format.
func scrape(t *testing.T, url string) series {
	t.Helper()
	values := make(series)
	for line := range strings.Lines(string(scrapeText(t, url))) {
		if !strings.HasPrefix(line, "caddy_webhooks_") {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		values[strings.TrimPrefix(name, "caddy_webhooks_")] = n
	}
	return values
}

func scrapeText(t *testing.T, url string) []byte {
	t.Helper()
	got := do(t, http.MethodGet, url, "")
	got.want(t, http.StatusOK, nil)
	return got.body
}

// TestMetrics checks what is counted over reloads, at the metrics handler and at Caddy's
// admin endpoint. Metrics belong to the process, in which other tests have run before.
func TestMetrics(t *testing.T) {
	redis := redistest.Start(t)
	s := startMeasured(t, redis.Addr)
	if _, ok := s.before[`store_errors_total{operation="accept"}`]; !ok {
		t.Errorf("a counter that has not counted yet is missing: %v", s.before)
	}
	first := s.countFirst()
	s.reload("11s")
	s.want("the same counts after a reload", first)
	s.reload("12s")
	s.countFailures()
	if handler := scrape(t, "http://"+s.addr+"/metrics"); handler["events_accepted_total"] != s.last["events_accepted_total"] {
		t.Errorf("the metrics handler has %v events, and the admin endpoint %v", handler["events_accepted_total"], s.last["events_accepted_total"])
	}
	text := scrapeText(t, "http://"+s.adminAddr+"/metrics")
	if found := regexp.MustCompile(`(?m)^caddy_webhooks_.*(secret-path|hush|group_|default|0e1f8f6e).*$`).Find(text); found != nil {
		t.Errorf("users' data in %s", found)
	}
	redis.Kill()
	s.countWithoutStore()
}

// measuredSite is a site whose metrics are compared with those at its start.
type measuredSite struct {
	*caddySite
	endpoint     *receiver
	redis        string // its address
	adminAddr    string
	before, last series
}

func startMeasured(t *testing.T, redis string) *measuredSite {
	t.Helper()
	s := &measuredSite{
		caddySite: &caddySite{t: t, addr: freeAddr(t), log: t.TempDir() + "/caddy.log"},
		endpoint:  newReceiver(t), redis: redis, adminAddr: freeAddr(t),
	}
	s.reload("10s")
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.ready()
	s.before = s.scrape()
	return s
}

// reload loads a configuration with another timeout.
func (s *measuredSite) reload(timeout string) {
	s.t.Helper()
	caddyfile := strings.Replace(s.caddyfile(siteConfig{
		webhooks: s.endpoint.config(s.redis) + "timeout " + timeout, more: "metrics /metrics",
	}), "admin off", "admin "+s.adminAddr, 1)
	if err := caddy.Load(adaptFile(s.t, caddyfile), true); err != nil {
		s.t.Fatal(err)
	}
}

func (s *measuredSite) scrape() series {
	s.t.Helper()
	return scrape(s.t, "http://"+s.adminAddr+"/metrics")
}

// want waits until the counts since the start are so. Some things are counted only after
// a request has been answered.
func (s *measuredSite) want(what string, counts series) {
	s.t.Helper()
	eventually(s.t, what, func() bool {
		s.last = s.scrape()
		for name, n := range counts {
			if s.last[name]-s.before[name] != n {
				s.t.Logf("%s: %s is %v, want %v", what, name, s.last[name]-s.before[name], n)
				return false
			}
		}
		return true
	})
}

// countFirst makes calls, most of which are refused, and returns what they count.
func (s *measuredSite) countFirst() series {
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+s.endpoint.URL+`/secret-path","secret":"hush","event_types":["group_created","group_updated"]}`).want(s.t, http.StatusCreated, nil)
	const id = `"event_id":"0e1f8f6e-3f55-4d3d-9a6f-5f0a2c9f3b11",`
	s.emit(`[{`+id+`"event_type":"group_created","data":{}},{`+id+`"event_type":"group_created","data":{}},{"event_type":"group_deleted","data":{}}]`).want(s.t, http.StatusAccepted, nil)
	s.emit(`[{"event_type":"group_created","data":{}},{"event_type":"group_created","data":[]}]`).want(s.t, http.StatusUnprocessableEntity, nil)
	s.emit(`not JSON`).want(s.t, http.StatusBadRequest, nil)
	s.do(http.MethodPost, "/hooks/api/events", `{}`).want(s.t, http.StatusUnauthorized, nil)
	s.do(http.MethodGet, "/hooks/api/webhooks", "").want(s.t, http.StatusUnauthorized, nil) // emits nothing
	first := series{
		"events_accepted_total": 2, "events_duplicate_total": 1,
		`events_refused_total{code="422"}`: 2, `events_refused_total{code="400"}`: 1, `events_refused_total{code="401"}`: 1,
		`requests_total{status="success",trigger="event"}`: 1, `requests_total{status="failed",trigger="event"}`: 0,
		`request_duration_seconds_count{status="success"}`: 1, `request_duration_seconds_bucket{status="success",le="+Inf"}`: 1,
		`webhooks_disabled_total{reason="gone"}`: 0, `webhooks_disabled_total{reason="failing"}`: 0,
		"filter_errors_total": 0, "order_by_errors_total": 0, "deliveries_failed_total": 0, "deliveries_pending": 0, "outcomes_unwritten": 0, "requests_in_flight": 0,
	}
	s.want("the first counts", first)
	return first
}

// countFailures has all attempts of a delivery fail.
func (s *measuredSite) countFailures() {
	s.endpoint.answer(http.StatusInternalServerError)
	s.emit(`{"event_type":"group_updated","data":{}}`).want(s.t, http.StatusAccepted, nil)
	s.want("three attempts", series{
		"events_accepted_total":                            3,
		`requests_total{status="failed",trigger="event"}`:  1,
		`requests_total{status="failed",trigger="retry"}`:  2,
		`requests_total{status="success",trigger="event"}`: 1,
		`request_duration_seconds_count{status="failed"}`:  3,
		`schedule_lag_seconds_count{slow="false"}`:         2,
		"deliveries_failed_total":                          1,
		"deliveries_pending":                               0,
	})
}

// countWithoutStore emits an event while the store is away.
func (s *measuredSite) countWithoutStore() {
	s.emit(`{"event_type":"group_created","data":{}}`).want(s.t, http.StatusServiceUnavailable, nil)
	eventually(s.t, "store errors", func() bool {
		s.last = s.scrape()
		return s.last[`store_errors_total{operation="accept"}`] > s.before[`store_errors_total{operation="accept"}`]
	})
	if n := s.last[`events_refused_total{code="503"}`] - s.before[`events_refused_total{code="503"}`]; n != 1 {
		s.t.Errorf("%v events were refused because of the store, want 1", n)
	}
	if n, ok := s.last["deliveries_pending"]; ok {
		s.t.Errorf("%v deliveries are said to be pending, but nobody can know", n)
	}
}
