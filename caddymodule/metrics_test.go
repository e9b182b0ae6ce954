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

// TestMetrics counts over reloads, at the metrics handler and at Caddy's admin
// endpoint. Metrics are those of the process, in which other tests ran before.
func TestMetrics(t *testing.T) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	adminAddr := freeAddr(t)
	s := &caddySite{t: t, addr: freeAddr(t), log: t.TempDir() + "/caddy.log"}
	load := func(timeout string) {
		t.Helper()
		caddyfile := strings.Replace(s.caddyfile(siteConfig{
			webhooks: endpoint.config(redis.Addr) + "timeout " + timeout, more: "metrics /metrics",
		}), "admin off", "admin "+adminAddr, 1)
		if err := caddy.Load(adaptFile(t, caddyfile), true); err != nil {
			t.Fatal(err)
		}
	}
	load("10s")
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	s.ready()
	before := scrape(t, "http://"+adminAddr+"/metrics")
	var last series
	// want waits until the counts since the start are so: what is counted after a
	// request has been answered may still be on its way.
	want := func(what string, counts series) {
		t.Helper()
		eventually(t, what, func() bool {
			last = scrape(t, "http://"+adminAddr+"/metrics")
			for name, n := range counts {
				if last[name]-before[name] != n {
					t.Logf("%s: %s is %v, want %v", what, name, last[name]-before[name], n)
					return false
				}
			}
			return true
		})
	}
	if _, ok := before[`store_errors_total{operation="accept"}`]; !ok {
		t.Errorf("what was never counted is not there: %v", before)
	}

	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`/secret-path","secret":"hush","event_types":["group_created","group_updated"]}`).want(t, http.StatusCreated, nil)
	const id = `"event_id":"0e1f8f6e-3f55-4d3d-9a6f-5f0a2c9f3b11",`
	s.emit(`[{`+id+`"event_type":"group_created","data":{}},{`+id+`"event_type":"group_created","data":{}},{"event_type":"group_deleted","data":{}}]`).want(t, http.StatusAccepted, nil)
	s.emit(`[{"event_type":"group_created","data":{}},{"event_type":"group_created","data":[]}]`).want(t, http.StatusUnprocessableEntity, nil)
	s.emit(`not JSON`).want(t, http.StatusBadRequest, nil)
	s.do(http.MethodPost, "/hooks/api/events", `{}`).want(t, http.StatusUnauthorized, nil)
	s.do(http.MethodGet, "/hooks/api/webhooks", "").want(t, http.StatusUnauthorized, nil) // emits nothing
	first := series{
		"events_accepted_total": 2, "events_duplicate_total": 1,
		`events_refused_total{code="422"}`: 2, `events_refused_total{code="400"}`: 1, `events_refused_total{code="401"}`: 1,
		`requests_total{status="success",trigger="event"}`: 1, `requests_total{status="failed",trigger="event"}`: 0,
		`request_duration_seconds_count{status="success"}`: 1, `request_duration_seconds_bucket{status="success",le="+Inf"}`: 1,
		"deliveries_failed_total": 0, "deliveries_pending": 0, "outcomes_unwritten": 0, "requests_in_flight": 0,
	}
	want("the first counts", first)

	load("11s")
	want("the same counts after a reload", first)
	load("12s")
	endpoint.answer(http.StatusInternalServerError)
	s.emit(`{"event_type":"group_updated","data":{}}`).want(t, http.StatusAccepted, nil)
	want("three attempts", series{
		"events_accepted_total":                            3,
		`requests_total{status="failed",trigger="event"}`:  1,
		`requests_total{status="failed",trigger="retry"}`:  2,
		`requests_total{status="success",trigger="event"}`: 1,
		`request_duration_seconds_count{status="failed"}`:  3,
		`schedule_lag_seconds_count{slow="false"}`:         2,
		"deliveries_failed_total":                          1,
		"deliveries_pending":                               0,
	})
	if handler := scrape(t, "http://"+s.addr+"/metrics"); handler["events_accepted_total"] != last["events_accepted_total"] {
		t.Errorf("the metrics handler has %v events, the admin endpoint %v", handler["events_accepted_total"], last["events_accepted_total"])
	}
	text := scrapeText(t, "http://"+adminAddr+"/metrics")
	if found := regexp.MustCompile(`(?m)^caddy_webhooks_.*(secret-path|hush|group_|default|0e1f8f6e).*$`).Find(text); found != nil {
		t.Errorf("users' data in %s", found)
	}

	redis.Kill()
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusServiceUnavailable, nil)
	eventually(t, "store errors", func() bool {
		last = scrape(t, "http://"+adminAddr+"/metrics")
		return last[`store_errors_total{operation="accept"}`] > before[`store_errors_total{operation="accept"}`]
	})
	if n := last[`events_refused_total{code="503"}`] - before[`events_refused_total{code="503"}`]; n != 1 {
		t.Errorf("%v events refused for the store, want 1", n)
	}
	if n, ok := last["deliveries_pending"]; ok {
		t.Errorf("%v pending, and nobody can know", n)
	}
}
