package api_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// TestStreamFilters has a stream tell only of what it asks for, in the words of the list.
func TestStreamFilters(t *testing.T) {
	endpoint := newReceiver(t)
	s := start(t, newConfig().withLoopback())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`/a/b"}`).want(t, 201, &hook)
	for _, query := range []string{"trigger=test", "trigger=test&status_code=2xx&q=/A/B&url=" + endpoint.URL} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/hooks/api/requests/stream?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", asAdmin)
		res, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		events := bufio.NewReader(res.Body)
		if _, err := openapitest.ReadEvent(events); err != nil { // start
			t.Fatal(err)
		}
		var other receipt
		s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, &other)
		s.requests("event_id="+other.EventID, 1)
		s.admin("POST", "api/webhooks/"+hook.ID+"/test", "").want(t, 200, nil)
		if event, err := openapitest.ReadEvent(events); err != nil || !strings.Contains(string(event), `"trigger":"test"`) {
			t.Errorf("%s: the first request is %q, %v", query, event, err)
		}
	}
}
