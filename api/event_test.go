package api_test

import "testing"

// TestEvent emits an event and reads it with its delivery.
func TestEvent(t *testing.T) {
	endpoint := newReceiver(t)
	s := start(t, newConfig().withLoopback())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
	s.emit(`{"event_type":"group_created","event_id":"`+noID+`","occurred_at":"2026-03-13T18:30:00+02:00","data":{"a":1.0}}`).want(t, 202, nil)
	if got, want := endpoint.next(t), `{"event_type":"group_created","event_id":"`+noID+`","occurred_at":"2026-03-13T16:30:00Z","data":{"a":1.0}}`; got != want {
		t.Errorf("sent was %s", got)
	}
	s.requests("", 1)
	var ev event
	s.admin("GET", "api/events/"+noID, "").want(t, 200, &ev)
	if ev.EventType != "group_created" || ev.EventID != noID || ev.OccurredAt != "2026-03-13T16:30:00Z" || string(ev.Data) != `{"a":1.0}` || ev.ReceivedAt == "" {
		t.Errorf("got %+v", ev)
	}
	if len(ev.Deliveries) != 1 || ev.Deliveries[0].WebhookID != hook.ID || ev.Deliveries[0].URL != endpoint.URL ||
		ev.Deliveries[0].Status != "success" || ev.Deliveries[0].Attempts != 1 || ev.Deliveries[0].NextAttemptAt != nil {
		t.Errorf("its deliveries are %+v", ev.Deliveries)
	}
}

// TestTenants has each tenant see what is its own, and refuses calls about none.
func TestTenants(t *testing.T) {
	s := start(t, newConfig())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`, "X-Tenant", "a").want(t, 201, &hook)
	for tenant, want := range map[string]int{"a": 200, "b": 404, "": 400, "a b": 400, "a/b": 400} {
		if got := s.admin("GET", "api/webhooks/"+hook.ID, "", "X-Tenant", tenant).status; got != want {
			t.Errorf("tenant %q: %d", tenant, got)
		}
	}
	// What is about no tenant needs none, and what is not allowed says so first.
	s.admin("GET", "api/health", "", "X-Tenant", "").want(t, 200, nil)
	s.do("GET", "/hooks/api/webhooks", "", "X-Tenant", "").wantProblem(t, 401)
	s.admin("POST", "api/webhooks", `{"url":1}`, "X-Tenant", "").wantProblem(t, 400)
}
