package api_test

import (
	"strings"
	"testing"
)

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

// TestEventAsEmitted reads data that can be spelled in other ways: it comes out as it
// was emitted, byte for byte, and so it is sent and shown in the log.
func TestEventAsEmitted(t *testing.T) {
	endpoint := newReceiver(t)
	s := start(t, newConfig().withLoopback())
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, nil)
	for i, data := range []string{
		`{"a":"\u2028\u2029","b":"\/","c":"\u0041\ud83d\ude00","\u0064":"<&>"}`,
		"{\"a\":\"\u2028\u2029\u007f\"}",
		`{"z":1.50,"a":1E+2,"y":-0,"b":10000000000000000000000.1}`,
		"{ \"a\" :\n\t[ 1 , { } ]\r\n}",
		`{}`,
	} {
		var got receipt
		s.emit(` { "data" : `+data+` , "event_type" : "group_created" } `).want(t, 202, &got)
		if sent := endpoint.next(t); !strings.HasSuffix(sent, `,"data":`+data+`}`) {
			t.Errorf("%s is sent as %s", data, sent)
		}
		if ev := s.admin("GET", "api/events/"+got.EventID, ""); !strings.Contains(string(ev.body), `,"data":`+data+`,"received_at":`) {
			t.Errorf("%s comes out as %s", data, ev.body)
		}
		s.requests("", i+1)
		var row request
		s.admin("GET", "api/requests/"+s.requests("event_id="+got.EventID, 1)[0].ID, "").want(t, 200, &row)
		if row.RequestBody == nil || !strings.HasSuffix(*row.RequestBody, `,"data":`+data+`}`) {
			t.Errorf("%s is shown as %v", data, row.RequestBody)
		}
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
