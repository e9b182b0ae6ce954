package caddymodule_test

import (
	"net/http"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// TestCaddyEventsDocumented holds calls with types of Caddy's events against the document of a
// configuration that emits these.
func TestCaddyEventsDocumented(t *testing.T) {
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{
		webhooks: endpoint.configOf("embedded "+t.TempDir()) + "\nevent_types first second", global: "events {\non unhealthy webhooks\n}",
	})
	s.ready()
	document, err := openapitest.New(s.do(http.MethodGet, "/hooks/api/openapi.json", "").body)
	if err != nil {
		t.Fatal(err)
	}
	call := func(path, body string, want int) *openapitest.Exchange {
		t.Helper()
		e, err := exchangeWith(http.DefaultClient, http.MethodPost, "http://"+s.addr+"/hooks/api/"+path, body, "Authorization", "Bearer "+adminToken)
		if err != nil || e.Status != want {
			t.Fatalf("%s: %+v, %v", body, e, err)
		}
		if err := document.Check(e); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		return e
	}
	hook := call("webhooks", `{"url":"`+endpoint.URL+`","event_types":["caddy.unhealthy","second"]}`, http.StatusCreated)
	path := hook.ResponseHeader.Get("Location") + "/test"
	for _, name := range []string{"caddy.unhealthy", "second"} {
		call(path, `{"event_type":"`+name+`"}`, http.StatusOK)
		endpoint.next(t)
	}
	call(path, `{"event_type":"first"}`, http.StatusUnprocessableEntity)
	call(path, `{"event_type":"*"}`, http.StatusUnprocessableEntity)
	call("events", `{"event_type":"caddy.unhealthy","data":{}}`, http.StatusUnprocessableEntity)
}
