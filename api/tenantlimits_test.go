package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestEventLimit emits more events than a tenant may in an hour.
func TestEventLimit(t *testing.T) {
	c := newConfig()
	c.limits = api.TenantLimits{Events: 4, EventsPer: time.Hour}
	s := start(t, c)
	const event = `{"event_type":"group_created","data":{}}`
	got := s.emit("[" + event + "," + event + "," + event + "]")
	got.want(t, http.StatusAccepted, nil)
	if policy, limit := got.header.Get("RateLimit-Policy"), got.header.Get("RateLimit"); policy != `"events";q=4;w=3600` || limit != `"events";r=1;t=2700` {
		t.Errorf("RateLimit-Policy is %s, RateLimit %s", policy, limit)
	}
	s.emit(`{"event_type":"none","data":{}}`).wantProblem(t, http.StatusUnprocessableEntity) // which counts nothing
	got = s.emit("[" + event + "," + strings.Replace(event, "{", `{"event_id":"`+noID+`",`, 1) + "]")
	if p := got.wantProblem(t, http.StatusTooManyRequests); got.header.Get("Retry-After") == "" || !strings.HasPrefix(got.header.Get("RateLimit"), `"events";r=1;`) {
		t.Errorf("got %+v, %v", p, got.header)
	}
	s.admin("GET", "api/events/"+noID, "").wantProblem(t, http.StatusNotFound)
	if limit := <-s.throttled; limit != "events" {
		t.Errorf("the limit is %s", limit)
	}
	s.emit(event).want(t, http.StatusAccepted, nil)
	s.emit("not read").wantProblem(t, http.StatusTooManyRequests)
	s.do("POST", "/hooks/api/events", event, "Authorization", asEmitter, "X-Tenant", "other").want(t, http.StatusAccepted, nil)
	got = s.do("POST", "/hooks/api/events", "["+strings.Repeat(event+",", 4)+event+"]", "Authorization", asEmitter, "X-Tenant", "third")
	got.wantProblem(t, http.StatusRequestEntityTooLarge)
}

// TestNoEventLimit emits without limits: no answer speaks of them.
func TestNoEventLimit(t *testing.T) {
	got := start(t, newConfig()).emit(`{"event_type":"group_created","data":{}}`)
	for name := range got.header {
		if strings.HasPrefix(strings.ToLower(name), "ratelimit") {
			t.Errorf("the answer has %s", name)
		}
	}
}

// TestWebhookLimit creates more webhooks at once than a tenant may have.
func TestWebhookLimit(t *testing.T) {
	c := newConfig()
	c.settings.TenantWebhooks = 3
	s := start(t, c)
	create := func() reply { return s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`) }
	if got := together(8, func(int) reply { return create() }); got[201] != 3 || got[409] != 5 {
		t.Errorf("got %v", got)
	}
	if p := create().wantProblem(t, http.StatusConflict); !strings.Contains(p.Detail, "has 3 webhooks") {
		t.Errorf("got %q", p.Detail)
	}
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`, "X-Tenant", "other").want(t, 201, nil)
}

// TestStreamLimit follows more often than a tenant may.
func TestStreamLimit(t *testing.T) {
	c := newConfig()
	c.settings.TenantFollowers = 1
	s := start(t, c)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/hooks/api/requests/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", asAdmin)
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := s.admin("GET", "api/requests/stream", "")
	got.wantProblem(t, http.StatusTooManyRequests)
	if limit := <-s.throttled; limit != "streams" || got.header.Get("Retry-After") != "1" {
		t.Errorf("the limit is %s, Retry-After %q", limit, got.header.Get("Retry-After"))
	}
	s.admin("GET", "api/requests/stream", "", "X-Tenant", "other").want(t, 200, nil)
	res.Body.Close()
	eventually(t, "the place", func() bool { return s.admin("GET", "api/requests/stream", "").status == 200 })
}

// TestStoredLimit stores more than a tenant may: events, tests and re-runs are refused, before
// bodies are read, and all else is not.
func TestStoredLimit(t *testing.T) {
	for name, store := range map[string]delivery.Store{"redis": redisAt(redistest.Start(t).Addr), "embedded": nil} {
		t.Run(name, func(t *testing.T) {
			endpoint := newReceiver(t)
			c := newConfig().withLoopback()
			c.store, c.settings.CountStored, c.limits = store, true, api.TenantLimits{Stored: 10_000}
			s := start(t, c)
			var hook webhook
			s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
			got := s.emit(`{"event_type":"group_created","data":{"a":"` + strings.Repeat("x", 9500) + `"}}`)
			if got.want(t, 202, nil); got.header.Get("RateLimit") != "" {
				t.Errorf("there is room, and the answer has %v", got.header)
			}
			row := s.requests("", 1)[0] // which was counted before it could be read, or soon
			eventually(t, "the limit", func() bool { return s.emit("not read").status == http.StatusTooManyRequests })
			for _, call := range []string{"api/events", "api/webhooks/" + hook.ID + "/test", "api/requests/" + row.ID + "/rerun"} {
				got := s.admin("POST", call, "{}")
				p := got.wantProblem(t, http.StatusTooManyRequests)
				wait, err := strconv.Atoi(got.header.Get("Retry-After"))
				if err != nil || wait < 1 || wait > 14*24*3600/50 || !strings.Contains(p.Detail, "may store 10000") {
					t.Errorf("%s: Retry-After is %q, and the detail %q", call, got.header.Get("Retry-After"), p.Detail)
				}
				if policy, limit := got.header.Get("RateLimit-Policy"), got.header.Get("RateLimit"); policy != `"stored";q=10000;qu="content-bytes"` || !strings.HasPrefix(limit, `"stored";r=0;t=`) {
					t.Errorf("%s: RateLimit-Policy is %s, RateLimit %s", call, policy, limit)
				}
				if limit := <-s.throttled; limit != "stored" {
					t.Errorf("the limit is %s", limit)
				}
			}
			s.admin("PATCH", "api/webhooks/"+hook.ID, `{"enabled":false}`).want(t, 200, nil)
			s.do("POST", "/hooks/api/events", `{"event_type":"group_created","data":{}}`, "Authorization", asEmitter, "X-Tenant", "other").want(t, 202, nil)
			s.do("POST", "/hooks/api/events", `{}`, "Authorization", asEmitter, "X-Tenant", "no tenant").wantProblem(t, 400)
		})
	}
}
