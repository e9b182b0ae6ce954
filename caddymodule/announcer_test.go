package caddymodule

import (
	"context"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
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
	before := unannounced(t)
	for range maxAnnounced + 5 {
		a.StoreAvailable(delivery.AllPartitions, nil)
	}
	if n := unannounced(t) - before; n != 5 || logged.Len() != 1 {
		t.Errorf("%v were counted, with %d lines of the log", n, logged.Len())
	}
}

// TestAnnounceOverReload has events wait when their configuration is replaced: the next one emits
// them, and those that come late. When there is none, they are counted, and the log says so once.
func TestAnnounceOverReload(t *testing.T) {
	core, logged := observer.New(zap.ErrorLevel)
	start := func() *announcer {
		a := &announcer{app: &App{log: zap.New(core)}, queue: make(chan announcement, maxAnnounced)}
		announcers.join(a)
		return a
	}
	before := start()
	before.StoreAvailable(1, nil)
	after := start()
	before.StoreAvailable(2, nil)
	announcers.leave(before)
	before.StoreAvailable(3, nil)
	for want := range 3 {
		if got := <-after.queue; got.data["partition"] != want+1 {
			t.Errorf("got %v, want the partition %d", got.data, want+1)
		}
	}
	after.StoreAvailable(4, nil)
	after.StoreAvailable(5, nil)
	counted := unannounced(t)
	announcers.leave(after)
	before.StoreAvailable(6, nil)
	if n := unannounced(t) - counted; n != 3 || logged.Len() != 2 { // a line of each configuration
		t.Errorf("%v were counted, with %d lines of the log", n, logged.Len())
	}
}

// ignoring handles events by ignoring them.
type ignoring struct{}

func (ignoring) Handle(context.Context, caddy.Event) error { return nil }

// TestAnnounceToNobody fails deliveries while nobody handles Caddy's events, and then while somebody
// handles one of them: only what is handled is made. While a configuration replaces another, all is.
func TestAnnounceToNobody(t *testing.T) {
	// Its log is at the level INFO: at DEBUG, Caddy writes each event to it.
	ctx, err := caddy.ProvisionContext(&caddy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	events := new(caddyevents.App)
	if err := events.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	a := &announcer{app: &App{log: zap.NewNop()}, events: events, queue: make(chan announcement, maxAnnounced)}
	announcers.join(a)
	defer announcers.leave(a)
	last, w := &delivery.Request{EventType: "alert_active"}, new(delivery.Webhook)
	fail := func() {
		a.DeliveryFailed(last)
		a.WebhookDisabled(w, last.EventType)
	}
	wantMade := func(when string, want int) {
		t.Helper()
		fail()
		if n := len(a.queue); n != want {
			t.Errorf("%s: %d events are made, want %d", when, n, want)
		}
		for len(a.queue) > 0 {
			<-a.queue
		}
	}
	wantMade("others may subscribe", 2)
	a.active.Store(true)
	wantMade("nobody has subscribed", 0)
	if n := testing.AllocsPerRun(100, fail); n > 0 {
		t.Errorf("for nobody there are %v allocations", n)
	}
	if err := events.On(eventDeliveryFailed, ignoring{}); err != nil {
		t.Fatal(err)
	}
	wantMade("one is handled", 1)
	next := &announcer{app: a.app, events: events, queue: make(chan announcement, maxAnnounced)}
	announcers.join(next)
	defer announcers.leave(next)
	wantMade("another configuration starts", 2)
	announcers.leave(a)
	fail()
	if n := len(next.queue); n != 2 {
		t.Errorf("%d events are left to the next configuration", n)
	}
}

// unannounced is how many events were counted as not emitted.
func unannounced(t *testing.T) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(metrics.unannounced)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatal(families, err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}
