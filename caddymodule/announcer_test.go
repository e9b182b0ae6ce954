package caddymodule

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestAnnounceNothingOfItsOwn: what becomes of an event that tells of the app itself raises none, or
// one failure would go on for ever.
func TestAnnounceNothingOfItsOwn(t *testing.T) {
	a := &announcer{app: &App{log: zap.NewNop()}, queue: make(chan announcement, 10)}
	for _, own := range []string{"caddy.webhooks.delivery_failed", "caddy.webhooks.webhook_disabled"} {
		a.DeliveryFailed(&delivery.Request{EventType: own})
		a.WebhookDisabled(&delivery.Webhook{}, own)
	}
	if n := len(a.queue); n != 0 {
		t.Errorf("%d events", n)
	}
	a.DeliveryFailed(&delivery.Request{EventType: "caddy.cert_failed"})
	a.WebhookDisabled(&delivery.Webhook{}, "caddy.cert_failed")
	if n := len(a.queue); n != 2 {
		t.Errorf("of others there are %d events", n)
	}
}

// TestAnnounceTooFast has more events than their handlers take: they are counted, and the log says
// so once.
func TestAnnounceTooFast(t *testing.T) {
	core, logged := observer.New(zap.ErrorLevel)
	a := &announcer{app: &App{log: zap.New(core)}, queue: make(chan announcement, maxAnnounced)}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.unannounced)
	count := func() float64 {
		families, err := registry.Gather()
		if err != nil || len(families) != 1 {
			t.Fatal(families, err)
		}
		return families[0].GetMetric()[0].GetCounter().GetValue()
	}
	before := count()
	for range maxAnnounced + 5 {
		a.StoreAvailable(delivery.AllPartitions, nil)
	}
	if n := count() - before; n != 5 || logged.Len() != 1 {
		t.Errorf("%v were counted, with %d lines of the log", n, logged.Len())
	}
}
