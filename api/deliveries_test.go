package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

type listedDelivery struct {
	EventID       string  `json:"event_id"`
	EventType     string  `json:"event_type"`
	WebhookID     string  `json:"webhook_id"`
	URL           string  `json:"url"`
	Status        string  `json:"status"`
	Attempts      int     `json:"attempts"`
	NextAttemptAt *string `json:"next_attempt_at"`
	LastRequestID *string `json:"last_request_id"`
	LastError     *string `json:"last_error"`
}

type deliveryList struct {
	Data       []listedDelivery `json:"data"`
	NextCursor *string          `json:"next_cursor"`
}

// deliveries reads all pages of a list.
func (s *site) deliveries(query string) (all []listedDelivery) {
	s.t.Helper()
	for cursor := ""; ; {
		var page deliveryList
		s.admin("GET", "api/deliveries?"+query+cursor, "").want(s.t, 200, &page)
		if all = append(all, page.Data...); page.NextCursor == nil {
			return all
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// paths are the ends of their URLs, sorted.
func paths(deliveries []listedDelivery) string {
	var all []string
	for _, d := range deliveries {
		all = append(all, d.URL[strings.LastIndexByte(d.URL, '/')+1:])
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// standing is an endpoint whose answer depends on the path: /hangs until it may go on.
func standing(t *testing.T) (url string, goOn func()) {
	hang := make(chan struct{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/hangs":
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(endpoint.Close)
	return endpoint.URL, func() { close(hang) }
}

// TestDeliveries lists deliveries by how they stand.
func TestDeliveries(t *testing.T) {
	url, goOn := standing(t)
	s := start(t, newConfig().withLoopback())
	ids := make(map[string]string)
	for _, path := range []string{"succeeds", "fails", "hangs"} {
		var hook webhook
		s.admin("POST", "api/webhooks", fmt.Sprintf(`{"url":"%s/%s"}`, url, path)).want(t, 201, &hook)
		ids[path] = hook.ID
	}
	for range 3 {
		s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
	}
	s.admin("POST", "api/webhooks/"+ids["fails"]+"/test", `{"event_type":"group_deleted"}`).want(t, 200, nil)
	s.requests("", 7)
	for query, want := range map[string]string{
		"": "fails fails fails fails hangs hangs hangs succeeds succeeds succeeds", "status=pending": "hangs hangs hangs",
		"status=retrying": "fails fails fails", "status=failed": "fails", "status=success": "succeeds succeeds succeeds",
		"webhook_id=" + ids["hangs"]: "hangs hangs hangs", "webhook_id=" + ids["fails"] + "&status=pending": "", "webhook_id=" + noID: "",
		"webhook_id=" + ids["fails"]: "fails fails fails fails", "event_type=group_deleted": "fails", "status=pending&event_type=group_deleted": "",
		"since=2020-01-01T00:00:00Z&status=pending": "hangs hangs hangs", "until=2020-01-01T00:00:00Z": "", "since=2120-01-01T00:00:00Z": "",
	} {
		for _, limit := range []string{"", "&limit=1", "&limit=2", "&limit=3", "&limit=200"} {
			if got := paths(s.deliveries(query + limit)); got != want {
				t.Errorf("%s%s: got %s, want %s", query, limit, got, want)
			}
		}
	}
	retrying, failed := s.deliveries("status=retrying")[0], s.deliveries("status=failed")[0]
	row := s.requests("event_id="+retrying.EventID+"&status=failed", 1)[0]
	if retrying.Attempts != 1 || *retrying.NextAttemptAt != *row.NextAttemptAt || *retrying.LastRequestID != row.ID || *retrying.LastError != row.Error || retrying.WebhookID != row.WebhookID {
		t.Errorf("got %+v, want it as request %+v says", retrying, row)
	}
	if failed.EventType != "group_deleted" || failed.NextAttemptAt != nil || *failed.LastError != row.Error || failed.Attempts != 0 {
		t.Errorf("the test is %+v", failed)
	}
	pending := s.deliveries("status=pending")[0]
	if pending.LastRequestID != nil || pending.LastError != nil || pending.Attempts != 0 || pending.NextAttemptAt == nil || pending.EventType != "group_created" {
		t.Errorf("got %+v", pending)
	}
	s.admin("DELETE", "api/webhooks/"+ids["fails"], "").want(t, 204, nil)
	goOn()
	s.requests("status=success", 6)
	if got := paths(s.deliveries("")); got != "hangs hangs hangs succeeds succeeds succeeds" {
		t.Errorf("in the end: %s", got)
	}
	for _, query := range []string{"status=lost", "status=", "event_id=" + noID, "limit=0", "cursor=x", "cursor=AAAA", "webhook_id=x", "q=x"} {
		s.admin("GET", "api/deliveries?"+query, "").wantProblem(t, 400)
	}
}
