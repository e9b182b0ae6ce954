package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestOrder has calls to which several errors apply: the first one counts.
func TestOrder(t *testing.T) {
	s := start(t, newConfig())
	foreign := []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}
	big := strings.Repeat("x", 2<<20)
	for _, tc := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"path", "PUT", "api/nothing", big, foreign, 404},
		{"method", "PUT", "api/webhooks", big, foreign, 405},
		{"origin", "POST", "api/webhooks", big, foreign, 403},
		{"origin of an admin", "POST", "api/webhooks", `{}`, append([]string{"Authorization", asAdmin}, foreign...), 403},
		{"nobody", "POST", "api/webhooks", big, []string{"Content-Type", "text/plain"}, 401},
		{"emitter", "POST", "api/webhooks", big, []string{"Content-Type", "text/plain", "Authorization", asEmitter}, 403},
		{"media type", "POST", "api/webhooks?x=1", big, []string{"Content-Type", "text/plain", "Authorization", asAdmin}, 415},
		{"too large", "POST", "api/webhooks?x=1", big, []string{"Authorization", asAdmin}, 413},
		{"query", "POST", "api/webhooks?x=1", `{"url":1}`, []string{"Authorization", asAdmin}, 400},
		{"not JSON", "PATCH", "api/webhooks/" + noID, `{"url":1,}`, []string{"Authorization", asAdmin}, 400},
		{"not valid", "PATCH", "api/webhooks/" + noID, `{"url":1}`, []string{"Authorization", asAdmin}, 422},
		{"not valid, malformed id", "PATCH", "api/webhooks/x", `{"url":1}`, []string{"Authorization", asAdmin}, 422},
		{"no id", "PATCH", "api/webhooks/" + noID, `{"enabled":true}`, []string{"Authorization", asAdmin}, 404},
		{"no id, empty patch", "PATCH", "api/webhooks/" + noID, `{}`, []string{"Authorization", asAdmin}, 404},
		{"malformed id", "GET", "api/webhooks/x", "", []string{"Authorization", asAdmin}, 404},
		{"malformed id of a test", "POST", "api/webhooks/x/test", "{}", []string{"Authorization", asAdmin}, 404},
		{"malformed id of a request", "GET", "api/requests/x", "", []string{"Authorization", asAdmin}, 404},
		{"malformed id of a rerun", "POST", "api/requests/x/rerun", "", []string{"Authorization", asAdmin}, 404},
		{"malformed id of an event", "GET", "api/events/x", "", []string{"Authorization", asAdmin}, 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.do(tc.method, "/hooks/"+tc.path, tc.body, tc.headers...).wantProblem(t, tc.want)
		})
	}
	// Reading is not refused: other origins cannot see the answer.
	if got := s.do("GET", "/hooks/api/webhooks", "", append([]string{"Authorization", asAdmin}, foreign...)...).status; got != 200 {
		t.Errorf("got %d", got)
	}
}

func TestQuery(t *testing.T) {
	s := start(t, newConfig())
	for query, field := range map[string]string{
		"x=1":                             "x",
		"limit=0":                         "limit",
		"limit=201":                       "limit",
		"limit=":                          "limit",
		"limit=1&limit=2":                 "limit",
		"status=ok":                       "status",
		"webhook_id=x":                    "webhook_id",
		"event_id=" + noID[1:]:            "event_id",
		"event_type=%00":                  "event_type",
		"event_type=%ff":                  "event_type",
		"since=yesterday":                 "since",
		"until=2026-03-13T18:30:00+02:00": "until", // a + is a space in a query
		"cursor=x":                        "cursor",
		"LIMIT=1":                         "LIMIT",
		"limit=%zz":                       "",
		"limit=1;status=failed":           "",
	} {
		if got := s.admin("GET", "api/requests?"+query, "").wantProblem(t, 400).fields(); got != field {
			t.Errorf("%s: fields are %q", query, got)
		}
	}
	for _, path := range []string{"api/webhooks?limit=0", "api/webhooks?cursor=x", "api/webhooks?status=failed", "api/health?verbose=1", "api/event-types?x", "api/requests/" + noID + "?x=1"} {
		s.admin("GET", path, "").wantProblem(t, 400)
	}
	s.admin("GET", "api/requests?limit=200&status=failed&until=2026-03-13T18:30:00%2B02:00", "").want(t, 200, nil)
}

func TestMediaType(t *testing.T) {
	s := start(t, newConfig())
	const body = `{"event_type":"group_created","data":{}}`
	for header, want := range map[string]int{
		"application/json":                   202,
		"application/json; charset=utf-8":    202,
		"Application/JSON;charset=\"UTF-8\"": 202,
		"application/json; charset=latin1":   415,
		"application/json; v=1":              415,
		"application/merge-patch+json":       415,
		"application/problem+json":           415,
		"text/plain":                         415,
		"":                                   415,
		"json":                               415,
	} {
		if got := s.do("POST", "/hooks/api/events", body, "Authorization", asEmitter, "Content-Type", header); got.status != want {
			t.Errorf("%q: %d", header, got.status)
		}
	}
	for encoding, want := range map[string]int{"identity": 202, "gzip": 415, "identity, gzip": 415} {
		if got := s.do("POST", "/hooks/api/events", body, "Authorization", asEmitter, "Content-Encoding", encoding); got.status != want {
			t.Errorf("%q: %d", encoding, got.status)
		}
	}
}

// TestWhatIsAccepted has a body refused for its type or encoding: the response says
// which ones are accepted.
func TestWhatIsAccepted(t *testing.T) {
	s := start(t, newConfig())
	for _, tc := range []struct {
		method, path, header, value string
		want                        http.Header
	}{
		{"POST", "api/events", "Content-Encoding", "gzip", http.Header{"Accept-Encoding": {"identity"}}},
		{"PATCH", "api/webhooks/" + noID, "Content-Encoding", "br", http.Header{"Accept-Encoding": {"identity"}}},
		{"POST", "api/events", "Content-Type", "text/plain", http.Header{"Accept": {"application/json"}}},
		{"POST", "api/webhooks", "Content-Type", "application/merge-patch+json", http.Header{"Accept": {"application/json"}}},
		{"PATCH", "api/webhooks/" + noID, "Content-Type", "text/plain", http.Header{
			"Accept": {"application/json, application/merge-patch+json"}, "Accept-Patch": {"application/json, application/merge-patch+json"},
		}},
		{"POST", "api/requests/" + noID + "/rerun", "Content-Type", "text/plain", http.Header{"Accept": {"application/json"}}},
	} {
		got := s.admin(tc.method, tc.path, "{}", tc.header, tc.value)
		got.wantProblem(t, 415)
		for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Patch"} {
			if got, want := got.header.Get(name), tc.want.Get(name); got != want {
				t.Errorf("%s %s, %s %s: %s is %q, want %q", tc.method, tc.path, tc.header, tc.value, name, got, want)
			}
		}
	}
}

func TestEventTypeList(t *testing.T) {
	s := start(t, newConfig())
	var list struct {
		Data []struct {
			Name        string `json:"name"`
			Description string `json:"description"`

			Schema  json.RawMessage `json:"schema"`
			Example json.RawMessage `json:"example"`
		} `json:"data"`
	}
	s.admin("GET", "api/event-types", "").want(t, 200, &list)
	if len(list.Data) != 8 || string(list.Data[0].Schema) != "null" || !bytes.Contains(list.Data[0].Example, []byte("alert_id")) || list.Data[0].Name != "alert_active" || list.Data[7].Description == "" {
		t.Errorf("got %+v", list)
	}
}
