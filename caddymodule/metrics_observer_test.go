package caddymodule

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestRegisterMetrics registers twice in the registry of one load, and in that of
// the next, as Caddy has them.
func TestRegisterMetrics(t *testing.T) {
	for range 2 {
		registry := prometheus.NewPedanticRegistry()
		for range 2 {
			if err := metrics.register(registry); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := registry.Gather(); err != nil {
			t.Error(err)
		}
	}
	taken := prometheus.NewPedanticRegistry()
	taken.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "caddy_webhooks_events_accepted_total", Help: "Somebody else's."}))
	if err := metrics.register(taken); err == nil {
		t.Error("another metric of the same name was not noticed")
	}
}

// TestObserverAllocatesNothing: it stands on the way of every event.
func TestObserverAllocatesNothing(t *testing.T) {
	m := newProcessMetrics()
	var o delivery.Observer = m
	n := testing.AllocsPerRun(100, func() {
		o.EventsAccepted(3, 1)
		o.RequestStarts(-time.Second, true)
		o.RequestEnded(delivery.TriggerRetry, delivery.RequestFailed, time.Second)
		o.DeliveryFailed()
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
