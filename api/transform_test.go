package api_test

import (
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestWebhookTransform sends what a transform makes of events, and reads it in the log.
func TestWebhookTransform(t *testing.T) {
	for name, store := range map[string]func(t *testing.T) delivery.Store{
		"embedded": func(*testing.T) delivery.Store { return nil },
		"redis":    func(t *testing.T) delivery.Store { return redisAt(redistest.Start(t).Addr) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newConfig()
			c.store = store(t)
			endpoint := newReceiver(t)
			s := start(t, c.withLoopback())
			create := func(transform string) reply {
				return s.hostile("POST", "/hooks/api/webhooks", `{"url":"`+endpoint.URL+`","transform":`+transform+`}`)
			}
			if p := create(`"dta"`).wantProblem(t, 422); p.Errors[0].Field != "transform" || p.Errors[0].Detail != "Line 1, column 1: undeclared reference to 'dta'." {
				t.Errorf("%+v", p.Errors)
			}
			create(`"'`+strings.Repeat("x", 8192)+`'"`).wantProblem(t, 422)
			var hook webhook
			create(`"{'text': data.name + '!'}"`).want(t, 201, &hook)
			if hook.Transform == nil || *hook.Transform != "{'text': data.name + '!'}" {
				t.Errorf("%+v", hook)
			}
			s.emit(`[{"event_type":"alert_active","data":{"name":"für"}},{"event_type":"alert_active","data":{}}]`).want(t, 202, nil)
			for _, row := range s.requests("webhook_id="+hook.ID, 2) {
				var read request
				got := s.admin("GET", "api/requests/"+row.ID, "")
				got.want(t, 200, &read)
				switch {
				case read.Status == "success" && (read.RequestBody == nil || *read.RequestBody != `{"text":"für!"}`):
					t.Errorf("%s", got.body)
				case read.Status == "failed" && (read.RequestBody != nil || read.StatusCode != nil || *read.ResponseBody != "" || !strings.Contains(read.Error, "no such key: name")):
					t.Errorf("%s", got.body)
				}
			}
			s.hostile("PATCH", "/hooks/api/webhooks/"+hook.ID, `{"transform":null}`).want(t, 200, &hook)
			if hook.Transform != nil {
				t.Errorf("%+v", hook)
			}
		})
	}
}
