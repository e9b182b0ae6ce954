package api_test

import (
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
)

// TestTestOfWhatIsWanted sends test events after an event type has left the
// configuration: a webhook only ever gets one that it wants.
func TestTestOfWhatIsWanted(t *testing.T) {
	endpoint, folder := newReceiver(t), t.TempDir()
	configured := func(names ...string) config {
		c := newConfig().withLoopback()
		c.store, c.eventTypes = embedded.New(folder), names
		return c
	}
	var gone, both, all webhook
	t.Run("before", func(t *testing.T) {
		s := start(t, configured("first", "second"))
		for types, hook := range map[string]*webhook{`["first"]`: &gone, `["first","second"]`: &both, `["*"]`: &all} {
			s.hostile("POST", "/hooks/api/webhooks", `{"url":"`+endpoint.URL+`","event_types":`+types+`}`).want(t, 201, hook)
		}
	})
	t.Run("after", func(t *testing.T) {
		s := start(t, configured("second", "third"))
		test := func(hook webhook, body string) reply {
			return s.hostile("POST", "/hooks/api/webhooks/"+hook.ID+"/test", body)
		}
		for _, body := range []string{"", "{}", `{"event_type":"second"}`} {
			test(gone, body).wantProblem(t, 422)
			for _, hook := range []webhook{both, all} {
				var row request
				test(hook, body).want(t, 200, &row)
				if row.EventType != "second" || row.Status != "success" {
					t.Errorf("the test with %q is %+v", body, row)
				}
			}
		}
		test(both, `{"event_type":"third"}`).wantProblem(t, 422)
		test(all, `{"event_type":"third"}`).want(t, 200, nil)
		test(all, `{"event_type":"first"}`).wantProblem(t, 422)
		if n := len(endpoint.got); n != 7 {
			t.Errorf("%d requests were sent", n)
		}
		// That it is disabled matters only once there is something to send.
		s.hostile("PATCH", "/hooks/api/webhooks/"+both.ID, `{"enabled":false}`).want(t, 200, nil)
		test(both, `{"event_type":"second"}`).wantProblem(t, 409)
	})
}

// TestTestWithStoredEvent tests a webhook with an event that it did not get.
func TestTestWithStoredEvent(t *testing.T) {
	endpoint := newReceiver(t)
	s := start(t, newConfig().withLoopback())
	s.emit(`{"event_type":"alert_active","event_id":"`+noID+`","occurred_at":"2026-11-29T10:00:00Z","data":{"n": 1.50}}`).want(t, 202, nil)
	var hook webhook
	s.hostile("POST", "/hooks/api/webhooks", `{"url":"`+endpoint.URL+`","event_types":["alert_active"],"filter":"false","transform":"{'n': data.n, 'at': occurred_at}"}`).want(t, 201, &hook)
	test := func(body string) reply { return s.hostile("POST", "/hooks/api/webhooks/"+hook.ID+"/test", body) }
	var row request
	test(`{"event_id":"`+noID+`"}`).want(t, 200, &row)
	if row.Status != "success" || row.Trigger != "test" || row.EventID == noID || row.RequestBody == nil || *row.RequestBody != `{"at":"2026-11-29T10:00:00Z","n":1.5}` {
		t.Errorf("%+v", row)
	}
	s.hostile("PATCH", "/hooks/api/webhooks/"+hook.ID, `{"transform":null}`).want(t, 200, nil)
	test(`{"event_id":"`+noID+`"}`).want(t, 200, &row)
	if want := `{"event_type":"alert_active","event_id":"` + row.EventID + `","occurred_at":"2026-11-29T10:00:00Z","data":{"n": 1.50}}`; *row.RequestBody != want {
		t.Errorf("%s, want %s", *row.RequestBody, want)
	}
	for body, status := range map[string]int{
		`{"event_id":"` + noID + `","event_type":"alert_active"}`: 422,
		`{"event_id":"x"}`:  422,
		`{"event_id":null}`: 422,
		`{"event_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c"}`: 404,
	} {
		test(body).wantProblem(t, status)
	}
	s.hostile("PATCH", "/hooks/api/webhooks/"+hook.ID, `{"event_types":["alert_resolved"]}`).want(t, 200, nil)
	if p := test(`{"event_id":"`+noID+`"}`).wantProblem(t, 422); p.Errors[0].Field != "event_id" {
		t.Errorf("%+v", p)
	}
}
