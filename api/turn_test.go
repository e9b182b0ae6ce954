package api_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestExpressionsWaitForTurns has a tenant's turns taken: what compiles expressions for it waits,
// and nothing else does.
func TestExpressionsWaitForTurns(t *testing.T) {
	s := start(t, newConfig())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`).want(t, 201, &hook)
	path := "api/webhooks/" + hook.ID
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		leave, err := s.engine.Turn(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(leave)
	}
	calls := []struct{ method, path, body string }{
		{"POST", "api/webhooks", `{"url":"https://example.com/","filter":"true"}`},
		{"POST", "api/webhooks", `{"url":"https://example.com/","transform":"1"}`},
		{"PATCH", path, `{"filter":"true"}`},
		{"PATCH", path, `{"transform":"1"}`},
		{"POST", "api/expressions", `{"filter":"true","event":{"event_type":"alert_active","data":{}}}`},
		{"POST", "api/expressions", `{"transform":"1","event":{"event_type":"alert_active","data":{}}}`},
		{"POST", "api/expressions", `{"order_by":"''","event":{"event_type":"alert_active","data":{}}}`},
	}
	for _, c := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		r, err := http.NewRequestWithContext(ctx, c.method, s.url+"/hooks/"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Authorization": {asAdmin}, "Content-Type": {"application/json"}}
		response, err := s.client.Do(r)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s %s %s did not wait: %v, %v", c.method, c.path, c.body, response, err)
		}
		if err == nil {
			_ = response.Body.Close()
		}
		cancel()
		if c.path != path {
			if got := s.do(c.method, "/hooks/"+c.path, c.body, "Authorization", asAdmin, "X-Tenant", "other"); got.status >= 300 {
				t.Errorf("another tenant got %d", got.status)
			}
		}
	}
	s.admin("PATCH", path, `{"description":"x"}`).want(t, 200, nil)
	s.admin("PATCH", path, `{"filter":"`+strings.Repeat("x", 20_000)+`","url":1}`).wantProblem(t, 422)
}
