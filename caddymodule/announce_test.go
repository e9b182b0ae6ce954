package caddymodule_test

import (
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

func init() { caddy.RegisterModule(new(eventRecorder)) }

// recordedEvents are those that eventRecorder was given.
var recordedEvents = make(chan caddy.Event, 100)

// eventRecorder handles Caddy's events: it keeps them for the test, or takes its time.
type eventRecorder struct{}

func (*eventRecorder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.recorder", New: func() caddy.Module { return new(eventRecorder) }}
}

func (*eventRecorder) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*eventRecorder) Handle(_ context.Context, e caddy.Event) error {
	recordedEvents <- e
	return nil
}

// nextEvent is the next event of Caddy's of this name.
func nextEvent(t *testing.T, name string) map[string]any {
	t.Helper()
	select {
	case e := <-recordedEvents:
		if e.Name() != name || string(e.Origin().CaddyModule().ID) != "webhooks" {
			t.Fatalf("got %s of %v, want %s", e.Name(), e.Origin(), name)
		}
		return e.Data
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", name)
		return nil
	}
}

func recording(names ...string) string {
	return "events {\non " + strings.Join(names, " recorder\non ") + " recorder\n}"
}

// TestAnnounceFailures has a delivery fail for good, and a webhook disabled by its endpoint.
func TestAnnounceFailures(t *testing.T) {
	endpoint := newReceiver(t)
	config := endpoint.configOf("embedded " + filepath.Join(t.TempDir(), "store"))
	s := startSite(t, siteConfig{
		webhooks: strings.Replace(config, "retry {", "disable_on_gone\nretry {\nattempts 1", 1),
		global:   recording("webhooks.delivery_failed", "webhooks.webhook_disabled"),
	})
	s.subscribe(endpoint)
	endpoint.answer(http.StatusGone)
	var receipt receipt
	s.emit(`{"event_type":"alert_active","data":{}}`).want(t, http.StatusAccepted, &receipt)
	failed := nextEvent(t, "webhooks.delivery_failed")
	if failed["event_id"] != receipt.EventID || failed["event_type"] != "alert_active" || failed["tenant"] != "default" || failed["attempts"] != 1 || failed["error"] == "" {
		t.Errorf("got %v", failed)
	}
	disabled := nextEvent(t, "webhooks.webhook_disabled")
	if disabled["webhook_id"] != failed["webhook_id"] || disabled["reason"] != "gone" || disabled["tenant"] != "default" {
		t.Errorf("got %v", disabled)
	}
	if _, err := json.Marshal(failed); err != nil {
		t.Error(err)
	}
}

// TestAnnounceStore stops the Redis of a store, and starts it again.
func TestAnnounceStore(t *testing.T) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{
		webhooks: endpoint.configOf("redis redis://" + redis.Addr),
		global:   recording("webhooks.store_unavailable", "webhooks.store_available"),
	})
	s.ready()
	if err := redis.Stop(); err != nil {
		t.Fatal(err)
	}
	away := nextEvent(t, "webhooks.store_unavailable")
	if reason, _ := away["reason"].(string); away["partition"] != 0 || reason == "" || strings.Contains(reason, redis.Addr) {
		t.Errorf("got %v", away)
	}
	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	if there := nextEvent(t, "webhooks.store_available"); there["partition"] != 0 {
		t.Errorf("got %v", there)
	}
}
