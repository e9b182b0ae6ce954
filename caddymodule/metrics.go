package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// metrics counts what all engines of this process do. It is made once and registered
// in the registry of each configuration, so that counts go on across reloads.
var metrics = newProcessMetrics()

// processMetrics are this process's metrics. No label grows with what users
// store or send: there is none for a tenant, a webhook, a URL or an event type.
type processMetrics struct {
	accepted, duplicate prometheus.Counter
	refused             *prometheus.CounterVec
	requests            map[requestKind]prometheus.Counter
	durations           map[delivery.RequestStatus]prometheus.Observer
	lag                 map[bool]prometheus.Observer // by whether the webhook is slow
	failed              prometheus.Counter
	filterErrors        prometheus.Counter
	orderErrors         prometheus.Counter
	disabled            *prometheus.CounterVec
	unannounced         prometheus.Counter
	storeErrors         *prometheus.CounterVec
	throttled           *prometheus.CounterVec
	wrongTokens         *prometheus.CounterVec
	gateway             *prometheus.CounterVec
	gatewayIDs          prometheus.Counter

	counted []prometheus.Collector // all of the above
}

type requestKind struct {
	trigger delivery.Trigger
	status  delivery.RequestStatus
}

// Upper bounds in seconds. A request takes at most its timeout, 15 s by default;
// a delivery is late when this process is busy, or was away.
var (
	durationBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60}
	lagBuckets      = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600}
)

// Each series is there from the start, at 0: the first increase would be missed
// otherwise.
func newProcessMetrics() *processMetrics {
	m := &processMetrics{
		requests:  make(map[requestKind]prometheus.Counter),
		durations: make(map[delivery.RequestStatus]prometheus.Observer),
		lag:       make(map[bool]prometheus.Observer),
	}
	m.accepted = m.counter("events_accepted_total", "Events stored with their deliveries, without duplicates and test events.")
	m.duplicate = m.counter("events_duplicate_total", "Events whose event_id was already known, so nothing new was sent.")
	m.refused = m.counters("events_refused_total", "Events answered with an error, by status; a call whose body was not read as events counts as one.", "code")
	for _, code := range []string{"400", "401", "403", "408", "413", "415", "422", "429", "503"} {
		m.refused.WithLabelValues(code)
	}
	m.throttled = m.counters("calls_throttled_total", "Calls answered with 429, by the limit that a tenant, or all together, had reached.", "limit")
	for _, limit := range api.Limits() {
		m.throttled.WithLabelValues(limit)
	}
	requests := m.counters("requests_total", "Requests that ended, by what triggered them and how they ended.", "trigger", "status")
	durations := m.histograms("request_duration_seconds", "Time from connecting to the end of a request, by how it ended.", durationBuckets, "status")
	for _, status := range []delivery.RequestStatus{delivery.RequestSuccess, delivery.RequestFailed} {
		m.durations[status] = durations.WithLabelValues(string(status))
		for _, trigger := range []delivery.Trigger{delivery.TriggerEvent, delivery.TriggerRetry, delivery.TriggerRerun, delivery.TriggerTest, delivery.TriggerReplay} {
			m.requests[requestKind{trigger, status}] = requests.WithLabelValues(string(trigger), string(status))
		}
	}
	lag := m.histograms("schedule_lag_seconds", "How long after its due time an attempt started that had waited in the store, by whether its webhook is kept apart as slow.", lagBuckets, "slow")
	for _, slow := range []bool{false, true} {
		m.lag[slow] = lag.WithLabelValues(strconv.FormatBool(slow))
	}
	m.failed = m.counter("deliveries_failed_total", "Deliveries whose last attempt failed, or that were canceled.")
	m.filterErrors = m.counter("filter_errors_total", "Events that did not go to a webhook because its filter could not be evaluated.")
	m.orderErrors = m.counter("order_by_errors_total", "Deliveries that go with those whose text is empty because the order_by of their webhook could not be evaluated.")
	m.disabled = m.counters("webhooks_disabled_total", "Webhooks that were disabled because of what their endpoints answered, by reason.", "reason")
	for _, reason := range []delivery.DisabledReason{delivery.DisabledGone, delivery.DisabledFailing} {
		m.disabled.WithLabelValues(string(reason))
	}
	m.unannounced = m.counter("caddy_events_dropped_total", "Caddy events of this module that were not emitted, since their handlers were too slow, or Caddy stopped.")
	m.storeErrors = m.counters("store_errors_total", "Operations of the store that failed, by operation.", "operation")
	for _, operation := range delivery.StoreOperations() {
		m.storeErrors.WithLabelValues(operation)
	}
	m.wrongTokens = m.counters("wrong_tokens_total", "Calls with a token that is none of the handler's: 401 as usual, and 429 while many come from their address.", "code")
	for _, code := range []int{http.StatusUnauthorized, http.StatusTooManyRequests} {
		m.wrongTokens.WithLabelValues(strconv.Itoa(code))
	}
	m.gateway = m.counters("gateway_events_total", "Answers that webhooks_emit was to make events of, by what has become of them.", "outcome")
	for _, of := range outcomes {
		m.gateway.WithLabelValues(string(of))
	}
	m.gatewayIDs = m.counter("gateway_ids_incomplete_total", "Events of webhooks_emit that have a new id, since a placeholder within their id was empty.")
	return m
}

const metricsNamespace = "caddy_webhooks"

func (m *processMetrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help})
	m.counted = append(m.counted, c)
	return c
}

func (m *processMetrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: metricsNamespace, Name: name, Help: help}, labels)
	m.counted = append(m.counted, c)
	return c
}

func (m *processMetrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: metricsNamespace, Name: name, Help: help, Buckets: buckets}, labels)
	m.counted = append(m.counted, h)
	return h
}

// register puts the metrics into the registry of a configuration.
func (m *processMetrics) register(registry prometheus.Registerer) error {
	err := registry.Register(m)
	if errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		return nil
	}
	return err
}

// EventsAccepted implements delivery.Observer.
func (m *processMetrics) EventsAccepted(stored, duplicates int) {
	m.accepted.Add(float64(stored))
	m.duplicate.Add(float64(duplicates))
}

// RequestStarts implements delivery.Observer.
func (m *processMetrics) RequestStarts(late time.Duration, slow bool) {
	m.lag[slow].Observe(max(0, late).Seconds()) // the store's clock is only nearly known
}

// RequestEnded implements delivery.Observer.
func (m *processMetrics) RequestEnded(trigger delivery.Trigger, status delivery.RequestStatus, took time.Duration) {
	m.requests[requestKind{trigger, status}].Inc()
	m.durations[status].Observe(took.Seconds())
}

// DeliveryFailed implements delivery.Observer.
func (m *processMetrics) DeliveryFailed() { m.failed.Inc() }

// FilterFailed implements delivery.Observer.
func (m *processMetrics) FilterFailed() { m.filterErrors.Inc() }

// OrderFailed implements delivery.Observer.
func (m *processMetrics) OrderFailed() { m.orderErrors.Inc() }

// WebhookDisabled implements delivery.Observer.
func (m *processMetrics) WebhookDisabled(reason delivery.DisabledReason) {
	m.disabled.WithLabelValues(string(reason)).Inc()
}

// StoreFailed implements delivery.Observer.
func (m *processMetrics) StoreFailed(operation string) {
	m.storeErrors.WithLabelValues(operation).Inc()
}

// eventsRefused counts the events of a call that was answered with a problem.
func (m *processMetrics) eventsRefused(n, code int) {
	m.refused.WithLabelValues(strconv.Itoa(code)).Add(float64(n))
}

// callThrottled counts a call that was answered with 429.
func (m *processMetrics) callThrottled(limit string) { m.throttled.WithLabelValues(limit).Inc() }

// wrongToken counts a call with a wrong token.
func (m *processMetrics) wrongToken(code int) {
	m.wrongTokens.WithLabelValues(strconv.Itoa(code)).Inc()
}

// Gauges are read when somebody asks: the engines know them.
var (
	inFlightDesc  = prometheus.NewDesc(metricsNamespace+"_requests_in_flight", "Requests being made by this process.", nil, nil)
	unwrittenDesc = prometheus.NewDesc(metricsNamespace+"_outcomes_unwritten", "Requests of this process that ended and are not in the log yet.", nil, nil)
	overdueDesc   = prometheus.NewDesc(metricsNamespace+"_oldest_overdue_seconds", "For how long the oldest delivery has been due that could be sent. Those that wait for their webhook's own requests do not count.", nil, nil)
	storeUpDesc   = prometheus.NewDesc(metricsNamespace+"_store_up", "1 while every partition of the store does its work, else 0.", nil, nil)
	partitionDesc = prometheus.NewDesc(metricsNamespace+"_partition_up", "1 while the partition accepts events, hands out due deliveries and takes in outcomes, else 0.", []string{"partition"}, nil)
	setAsideDesc  = prometheus.NewDesc(metricsNamespace+"_records_set_aside_total", "Records of the store that could not be read and were set aside by this process.", nil, nil)
	encryptedDesc = prometheus.NewDesc(metricsNamespace+"_secrets_encrypted", "1 once the first encryption_key has encrypted every secret in the store, else 0. Missing without a key.", nil, nil)
	waitingDesc   = prometheus.NewDesc(metricsNamespace+"_gateway_events_waiting", "Events of webhooks_emit that are not stored yet, and are only in memory.", nil, nil)
	queueDesc     = prometheus.NewDesc(metricsNamespace+"_gateway_memory_bytes", "Memory of these events and of bodies that are being read for such events, of emit_queue at most.", nil, nil)
	pendingDesc   = prometheus.NewDesc(metricsNamespace+"_deliveries_pending", "Deliveries in the store that are neither success nor failed, of all processes; those of disabled webhooks too. Missing while the store does not answer.", nil, nil)
)

// pendingTimeout bounds the one gauge that asks the store. It is less than any
// scraper waits for an answer.
const pendingTimeout = 2 * time.Second

// Describe implements prometheus.Collector.
func (m *processMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.counted {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{inFlightDesc, unwrittenDesc, overdueDesc, storeUpDesc, partitionDesc, setAsideDesc, encryptedDesc, pendingDesc, waitingDesc, queueDesc} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *processMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.counted {
		c.Collect(ch)
	}
	all := runningEngines()
	var sum delivery.Stats
	for _, e := range all {
		s := e.Stats()
		sum.InFlight += s.InFlight
		sum.Unwritten += s.Unwritten
	}
	ch <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(sum.InFlight))
	ch <- prometheus.MustNewConstMetric(unwrittenDesc, prometheus.GaugeValue, float64(sum.Unwritten))
	ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(gateway.waiting.Load()))
	ch <- prometheus.MustNewConstMetric(queueDesc, prometheus.GaugeValue, float64(gateway.reserved.Load()))
	collectHealth(ch, all)
	if n, ok := pendingDeliveries(all); ok {
		ch <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(n))
	}
}

// collectHealth says whether the stores do their work. There is more than one only while
// a reload changes the store: then partitions of the same number count together.
func collectHealth(ch chan<- prometheus.Metric, all []*pooledEngine) {
	var overdue time.Duration
	var setAside int64
	up, keys, allEncrypted, partitions := true, false, true, make(map[int]bool)
	for _, e := range all {
		setAside += e.SetAside()
		states := e.PartitionsHealth()
		encrypted := e.Encryption()
		up = up && len(states) > 0 && encrypted.Err == nil // without states, the store has not been opened yet
		if encrypted.KeyID != "" {
			keys, allEncrypted = true, allEncrypted && encrypted.Done
		}
		for _, p := range states {
			was, known := partitions[p.Partition]
			partitions[p.Partition] = p.Up && (was || !known)
			up = up && p.Up
			overdue = max(overdue, p.Overdue)
		}
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(overdueDesc, overdue.Seconds())
	gauge(storeUpDesc, number(up))
	if keys {
		gauge(encryptedDesc, number(allEncrypted))
	}
	for partition, up := range partitions {
		gauge(partitionDesc, number(up), strconv.Itoa(partition))
	}
	ch <- prometheus.MustNewConstMetric(setAsideDesc, prometheus.CounterValue, float64(setAside))
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// runningEngines lists the engines in the pool, which must not be kept locked
// while a store is asked.
func runningEngines() []*pooledEngine {
	var all []*pooledEngine
	engines.Range(func(_, value any) bool {
		if e, ok := value.(*pooledEngine); ok {
			all = append(all, e)
		}
		return true
	})
	return all
}

// pendingDeliveries adds up what the stores have pending, those left out that
// cannot say: there is more than one only while a reload changes the store.
func pendingDeliveries(all []*pooledEngine) (sum int64, known bool) {
	ctx, cancel := context.WithTimeout(context.Background(), pendingTimeout)
	defer cancel()
	for _, e := range all {
		release, ok := e.Hold()
		if !ok {
			continue
		}
		n, err := e.Pending(ctx)
		release()
		if err == nil {
			sum += n
			known = true
		}
	}
	return sum, known
}

// Interface guards
var (
	_ delivery.Observer    = (*processMetrics)(nil)
	_ prometheus.Collector = (*processMetrics)(nil)
)
