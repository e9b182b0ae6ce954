package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/api"
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
