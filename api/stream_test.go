package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// TestStream follows the log, sees a request, and ends with the configuration.
func TestStream(t *testing.T) {
	endpoint := newReceiver(t)
	s := start(t, newConfig().withLoopback())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/hooks/api/requests/stream?webhook_id="+hook.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", asAdmin)
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	next := func() string {
		t.Helper()
		event, err := openapitest.ReadEvent(events)
		if err != nil {
			t.Fatal(err)
		}
		return string(event)
	}
	if got := next(); !strings.HasPrefix(got, "event: start\nid: ") || !strings.HasSuffix(got, "\ndata: {}\n\n") {
		t.Errorf("the stream begins with %q", got)
	}
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
	_, data, _ := strings.Cut(next(), "data: ")
	var row request
	if err := json.Unmarshal([]byte(data), &row); err != nil || row.WebhookID != hook.ID || row.Status != "success" {
		t.Errorf("got %q, %v", data, err)
	}
	s.replace()
	if line, err := events.ReadString('\n'); err == nil {
		t.Errorf("after the end of the configuration comes %q", line)
	}
}
