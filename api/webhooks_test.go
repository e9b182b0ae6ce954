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
