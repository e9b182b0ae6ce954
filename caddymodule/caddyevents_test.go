package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

// raise has Caddy raise an event.
func raise(t *testing.T, name string, data map[string]any) caddy.Event {
	t.Helper()
	ctx := caddy.ActiveContext()
	app, err := ctx.AppIfConfigured("events")
	if err != nil {
		t.Fatal(err)
	}
	events, ok := app.(*caddyevents.App)
	if !ok {
		t.Fatalf("the app is a %T", app)
	}
	return events.Emit(ctx, name, data)
}

// TestCaddyEvents has events of Caddy sent to webhooks that want them, and to those that want all.
func TestCaddyEvents(t *testing.T) {
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{
		webhooks: endpoint.configOf("embedded "+t.TempDir()) + "\nwebhook ops {\nurl " + endpoint.URL + "/ops\nevent_types caddy.cert_failed\n}",
		global:   "events {\non cert_failed webhooks\non unhealthy webhooks\n}",
	})
	s.ready()
	eventually(t, "the declared webhook", func() bool {
		var all struct{ Data []webhook }
		s.admin(http.MethodGet, "api/webhooks", "").want(t, http.StatusOK, &all)
		return len(all.Data) == 1
	})
	e := raise(t, "cert_failed", map[string]any{"identifier": "example.com", "error": "no such host", "conn": make(chan int)})
	got := endpoint.next(t)
	var envelope struct {
		Type string `json:"event_type"`
		ID   string `json:"event_id"`
		Data map[string]string
	}
	if err := json.Unmarshal(got.body, &envelope); err != nil {
		t.Fatal(err)
	}
	if got.path != "/ops" || envelope.Type != "caddy.cert_failed" || envelope.ID != e.ID().String() || envelope.Data["identifier"] != "example.com" || envelope.Data["conn"] != "chan int" {
		t.Errorf("got %s: %s", got.path, got.body)
	}
	s.subscribe(endpoint)
	raise(t, "unhealthy", nil)
	if got := endpoint.next(t); got.path == "/ops" || !strings.Contains(string(got.body), `"caddy.unhealthy"`) || !strings.Contains(string(got.body), `"data":{}`) {
		t.Errorf("got %s: %s", got.path, got.body)
	}
	// The OpenAPI document that exchanges are held against is of a configuration without these.
	made, err := exchangeWith(http.DefaultClient, http.MethodPost, "http://"+s.addr+"/hooks/api/webhooks", `{"url":"`+endpoint.URL+`","event_types":["caddy.healthy"]}`, "Authorization", "Bearer "+adminToken)
	if err != nil || made.Status != http.StatusCreated {
		t.Errorf("a webhook by the API: %+v, %v", made, err)
	}
	s.emit(`{"event_type":"caddy.unhealthy","data":{}}`).wantProblem(t, http.StatusUnprocessableEntity)
}

// TestOwnEventsEnd has a delivery fail that tells of a delivery that has failed: that is the end.
func TestOwnEventsEnd(t *testing.T) {
	endpoint := newReceiver(t)
	config := strings.Replace(endpoint.configOf("embedded "+t.TempDir()), "retry {", "retry {\nattempts 1", 1)
	s := startSite(t, siteConfig{webhooks: config, global: "events {\non webhooks.delivery_failed webhooks\n}"})
	s.subscribe(endpoint)
	endpoint.answer(http.StatusInternalServerError)
	s.emit(`{"event_type":"alert_active","data":{}}`).want(t, http.StatusAccepted, nil)
	endpoint.next(t)
	if got := endpoint.next(t); !strings.Contains(string(got.body), `"caddy.webhooks.delivery_failed"`) {
		t.Errorf("got %s", got.body)
	}
	endpoint.answer(http.StatusOK)
	s.emit(`{"event_type":"alert_resolved","data":{}}`).want(t, http.StatusAccepted, nil)
	if got := endpoint.next(t); !strings.Contains(string(got.body), `"alert_resolved"`) {
		t.Errorf("got %s", got.body)
	}
}
