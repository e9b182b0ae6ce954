package api_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/openapitest"
)

// erasable is in the data of an event that is to be erased, and in nothing else that is not to be.
const erasable = "Erika-Mustermann"

// erasedSite is a site with an event that was erased, and whose requests had bodies.
type erasedSite struct {
	*site
	sent     *atomic.Int64 // to the endpoint
	hooks    []webhook     // one gets the envelope, the next ones what transforms make, the last one fails
	event    receipt
	rows     []request
	position string // of the stream, from before the event
}

// echoing is an endpoint that answers with what it got, and fails under /fails.
func echoing(t *testing.T) (url string, sent *atomic.Int64) {
	t.Helper()
	sent = new(atomic.Int64)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Add(1)
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(endpoint.Close)
	return endpoint.URL, sent
}

// newErased emits an event, has it delivered in each way, and erases it.
func newErased(t *testing.T, store delivery.Store) *erasedSite {
	t.Helper()
	e := &erasedSite{site: audited(t, store)}
	var url string
	url, e.sent = echoing(t)
	for _, input := range []string{
		`{"url":"%s"}`, `{"url":"%s","transform":"{'text': data.name}"}`, `{"url":"%s","transform":"{'a': 1}[data.name]"}`,
		`{"url":"%s/fails","retry":{"attempts":7}}`,
	} {
		var hook webhook
		e.admin("POST", "api/webhooks", fmt.Sprintf(input, url)).want(t, 201, &hook)
		e.hooks = append(e.hooks, hook)
	}
	e.position = e.streamed("", 1)[0]
	e.emit(`{"event_type":"alert_active","data":{"name":"`+erasable+`"}}`).want(t, 202, &e.event)
	for _, row := range e.requests("event_id="+e.event.EventID, len(e.hooks)) {
		if got := string(e.admin("GET", "api/requests/"+row.ID, "").body); row.WebhookID != e.hooks[2].ID && strings.Count(got, erasable) != 2 {
			t.Fatalf("before the erasure: %s", got)
		}
		if row.WebhookID == e.hooks[0].ID {
			e.admin("POST", "api/requests/"+row.ID+"/rerun", "").want(t, 200, nil)
		}
	}
	got := e.admin("DELETE", "api/events/"+e.event.EventID, "")
	if got.want(t, 204, nil); len(got.body) > 0 {
		t.Errorf("the answer is %s", got.body)
	}
	e.rows = e.requests("event_id="+e.event.EventID, len(e.hooks)+1)
	e.sent.Store(0)
	return e
}

// streamed reads some events of the stream of requests, from a position on.
func (e *erasedSite) streamed(after string, n int) (all []string) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, e.url+"/hooks/api/requests/stream", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", asAdmin)
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	res, err := e.client.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer res.Body.Close()
	events := bufio.NewReader(res.Body)
	for range n {
		event, err := openapitest.ReadEvent(events)
		if err != nil {
			e.t.Fatal(err)
		}
		all = append(all, string(event))
	}
	if after == "" {
		_, all[0], _ = strings.Cut(all[0], "id: ")
		all[0], _, _ = strings.Cut(all[0], "\n")
	}
	return all
}

// silent wants an answer that has nothing of the event's data, and returns it.
func (e *erasedSite) silent(method, path, body string) reply {
	e.t.Helper()
	got := e.admin(method, path, body)
	if strings.Contains(string(got.body), erasable) {
		e.t.Errorf("%s %s %s: %s", method, path, body, got.body)
	}
	return got
}

// TestErased erases an event and asks all calls about it: none gives anything of its data, none sends
// them, and each says so clearly.
func TestErased(t *testing.T) {
	for name, store := range map[string]func(t *testing.T) delivery.Store{
		"embedded": func(*testing.T) delivery.Store { return nil },
		"redis":    func(t *testing.T) delivery.Store { return redisAt(redistest.Start(t).Addr) },
	} {
		t.Run(name, func(t *testing.T) {
			e := newErased(t, store(t))
			e.wantNothingShown()
			e.wantNothingSent()
			e.wantAudited()
			e.wantCalm()
			for _, line := range e.log.All() {
				if said := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(said, erasable) {
					t.Errorf("Caddy's log says: %s", said)
				}
			}
		})
	}
}

// wantNothingShown reads everything.
func (e *erasedSite) wantNothingShown() {
	e.t.Helper()
	var ev event
	if e.silent("GET", "api/events/"+e.event.EventID, "").want(e.t, 200, &ev); string(ev.Data) != "null" || len(ev.Deliveries) != len(e.hooks) {
		e.t.Errorf("the event is %+v", ev)
	}
	for _, row := range e.rows {
		var read request
		if e.silent("GET", "api/requests/"+row.ID, "").want(e.t, 200, &read); read.RequestBody != nil || *read.ResponseBody != "" {
			e.t.Errorf("the request is %+v", read)
		}
	}
	for _, list := range []string{"api/events", "api/requests", "api/deliveries?status=failed", "api/deliveries?status=retrying", "api/deliveries?status=success", "api/audit"} {
		e.silent("GET", list, "").want(e.t, 200, nil)
	}
	var found requestList
	if e.silent("GET", "api/requests?q="+erasable, "").want(e.t, 200, &found); len(found.Data) != 0 {
		e.t.Errorf("the log has the data in %+v", found.Data)
	}
	for _, event := range e.streamed(e.position, 1+len(e.rows)) {
		if strings.Contains(event, erasable) {
			e.t.Errorf("the stream has %s", event)
		}
	}
}

// wantNothingSent tries to have the event sent again in each way, and to have expressions evaluated.
func (e *erasedSite) wantNothingSent() {
	e.t.Helper()
	for _, row := range e.rows {
		if p := e.silent("POST", "api/requests/"+row.ID+"/rerun", "").wantProblem(e.t, 409); !strings.Contains(p.Detail, "event") {
			e.t.Errorf("a re-run: %s", p.Detail)
		}
	}
	id := `"event_id":"` + e.event.EventID + `"`
	for _, call := range []struct {
		path, body string
		status     int
	}{
		{"api/webhooks/" + e.hooks[0].ID + "/test", `{` + id + `}`, 404},
		{"api/expressions", `{"filter":"data.name != ''",` + id + `}`, 404},
		{"api/expressions", `{"transform":"data",` + id + `}`, 404},
		{"api/expressions", `{"order_by":"data.name",` + id + `}`, 404},
		{"api/events/" + e.event.EventID + "/deliveries/" + e.hooks[3].ID + "/send", "", 409},
	} {
		e.silent("POST", call.path, call.body).wantProblem(e.t, call.status)
	}
	var hook webhook
	e.admin("POST", "api/webhooks", `{"url":"`+e.hooks[0].URL+`"}`).want(e.t, 201, &hook)
	for _, asked := range []string{`"status":"any"`, `"status":"failed"`, `"status":"success"`, `"status":"missed","webhook_id":"` + hook.ID + `"`} {
		var r replay
		e.silent("POST", "api/replays", `{"since":"2020-01-01T00:00:00Z",`+asked+`}`).want(e.t, 202, &r)
		if r = e.replayEnds(r.ID); r.State != "done" || r.Succeeded+r.Failed != 0 || r.Done != r.Total {
			e.t.Errorf("the replay is %+v", r)
		}
	}
	var again receipt
	e.emit(`{"event_type":"alert_active",`+id+`,"data":{}}`).want(e.t, 202, &again)
	if !again.Duplicate || again.Deliveries != 0 {
		e.t.Errorf("the same id again: %+v", again)
	}
	if n := e.sent.Load(); n != 0 {
		e.t.Errorf("%d requests were made", n)
	}
	e.admin("DELETE", "api/events/"+e.event.EventID, "").want(e.t, 204, nil)
	e.admin("DELETE", "api/events/"+noID, "").wantProblem(e.t, 404)
}

// wantAudited wants both erasures in the audit log and in Caddy's, by whom and of which event.
func (e *erasedSite) wantAudited() {
	e.t.Helper()
	body := e.silent("GET", "api/audit", "").body
	var page struct {
		Data []struct {
			By, Address, Action string
			EventID             string `json:"event_id"`
		}
	}
	if err := json.Unmarshal(body, &page); err != nil {
		e.t.Fatal(err)
	}
	n := 0
	for _, entry := range page.Data {
		if entry.Action == string(delivery.ActionEventErased) && entry.EventID == e.event.EventID && entry.By == "alice" && entry.Address == "192.0.2.7" {
			n++
		}
	}
	if n != 2 {
		e.t.Errorf("the audit log is %s", body)
	}
	n = 0
	for _, line := range e.log.All() {
		fields := line.ContextMap()
		if line.LoggerName == "audit" && fields["action"] == string(delivery.ActionEventErased) && fields["event_id"] == e.event.EventID && fields["by"] == "alice" {
			n++
		}
	}
	if n != 2 {
		e.t.Errorf("Caddy's log has %d lines of it", n)
	}
}
