package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type replay struct {
	ID         string  `json:"id"`
	State      string  `json:"state"`
	Total      int     `json:"total"`
	Done       int     `json:"done"`
	Succeeded  int     `json:"succeeded"`
	Failed     int     `json:"failed"`
	CreatedAt  string  `json:"created_at"`
	FinishedAt *string `json:"finished_at"`
	WebhookID  *string `json:"webhook_id"`
	EventType  *string `json:"event_type"`
	Status     string  `json:"status"`
	Since      string  `json:"since"`
	Until      *string `json:"until"`
}

// recovering is an endpoint that fails until it is told to work, or to hang.
func recovering(t *testing.T) (url string, mode *atomic.Value) {
	mode = new(atomic.Value)
	mode.Store("fails")
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode.Load() {
		case "fails":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "hangs":
			_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the client has gone
			<-r.Context().Done()
		}
	}))
	t.Cleanup(endpoint.Close)
	return endpoint.URL, mode
}

// replayEnds waits until a replay has ended.
func (s *site) replayEnds(id string) (r replay) {
	s.t.Helper()
	eventually(s.t, "the replay has ended", func() bool {
		s.admin("GET", "api/replays/"+id, "").want(s.t, 200, &r)
		return r.State != "running"
	})
	return r
}

// TestReplay sends again what has failed, and tells how far that has come.
func TestReplay(t *testing.T) {
	url, mode := recovering(t)
	c := newConfig().withLoopback()
	c.audit = true
	s := start(t, c)
	var hook webhook
	s.admin("POST", "api/webhooks", fmt.Sprintf(`{"url":"%s","retry":{"attempts":1}}`, url)).want(t, 201, &hook)
	for range 3 {
		s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
	}
	s.requests("", 3)
	mode.Store("works")
	s.emit(`{"event_type":"group_deleted","data":{}}`).want(t, 202, nil)
	s.requests("", 4)
	time.Sleep(2 * time.Millisecond) // a replay is of what began in a millisecond before its own

	const since = `"since":"2020-01-01T00:00:00+01:00"`
	for body, want := range map[string]int{
		``: 3, `,"status":"failed"`: 3, `,"status":"success"`: 1, `,"status":"any"`: 4, `,"status":"any","event_type":"group_deleted"`: 1,
		`,"until":"2020-01-02T00:00:00Z"`: 0, `,"webhook_id":"` + hook.ID + `"`: 3,
	} {
		var total struct{ Total *int }
		s.admin("POST", "api/replays", `{`+since+body+`,"dry_run":true}`).want(t, 200, &total)
		if total.Total == nil || *total.Total != want {
			t.Errorf("%s: %v, want %d", body, total.Total, want)
		}
	}
	var r replay
	got := s.admin("POST", "api/replays", `{`+since+`,"webhook_id":"`+hook.ID+`","event_type":"group_created","until":"2120-01-01T00:00:00Z","dry_run":false}`)
	got.want(t, 202, &r)
	if got.header.Get("Location") != "replays/"+r.ID || r.Total != 3 || r.Status != "failed" || r.Since != "2019-12-31T23:00:00Z" || r.Until == nil || *r.WebhookID != hook.ID || *r.EventType != "group_created" {
		t.Errorf("%s: %+v", got.header.Get("Location"), r)
	}
	if r = s.replayEnds(r.ID); r.State != "done" || r.Total != 3 || r.Done != 3 || r.Succeeded != 3 || r.Failed != 0 || r.FinishedAt == nil {
		t.Errorf("the replay is %+v", r)
	}
	rows := s.requests("trigger=replay", 3)
	for _, row := range rows {
		if row.Trigger != "replay" || row.Attempt != nil || row.NextAttemptAt != nil || row.Status != "success" {
			t.Errorf("the request is %+v", row)
		}
	}
	var list struct{ Data []replay }
	s.admin("GET", "api/replays", "").want(t, 200, &list)
	if len(list.Data) != 1 || list.Data[0].ID != r.ID || list.Data[0].Done != 3 {
		t.Errorf("the list is %+v", list)
	}
	audit := string(s.admin("GET", "api/audit", "").body)
	if strings.Count(audit, `"action":"replay_started"`) != 1 || !strings.Contains(audit, `"event_type":"group_created"`) {
		t.Errorf("the audit log is %s", audit)
	}
}

// TestReplayCanceled cancels a replay, of which a tenant has one at a time.
func TestReplayCanceled(t *testing.T) {
	url, mode := recovering(t)
	c := newConfig().withLoopback()
	c.audit = true
	s := start(t, c)
	s.admin("POST", "api/webhooks", fmt.Sprintf(`{"url":"%s","retry":{"attempts":1}}`, url)).want(t, 201, nil)
	for range 5 {
		s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, nil)
	}
	s.requests("", 5)
	time.Sleep(2 * time.Millisecond)
	mode.Store("hangs")
	var r replay
	s.admin("POST", "api/replays", `{"since":"2020-01-01T00:00:00Z"}`).want(t, 202, &r)
	if p := s.admin("POST", "api/replays", `{"since":"2020-01-01T00:00:00Z"}`).wantProblem(t, 409); !strings.Contains(p.Detail, "one at a time") {
		t.Errorf("a second one: %s", p.Detail)
	}
	s.do("DELETE", "/hooks/api/replays/"+r.ID, "", "Authorization", asViewer).wantProblem(t, 403)
	s.do("POST", "/hooks/api/replays", `{"since":"2020-01-01T00:00:00Z"}`, "Authorization", asViewer).wantProblem(t, 403)
	s.do("GET", "/hooks/api/replays", "", "Authorization", asViewer).want(t, 200, nil)
	s.admin("DELETE", "api/replays/"+r.ID, "").want(t, 204, nil)
	s.admin("DELETE", "api/replays/"+r.ID, "").want(t, 204, nil)
	if r = s.replayEnds(r.ID); r.State != "canceled" || r.FinishedAt == nil || r.Total != 5 || r.Done == 5 {
		t.Errorf("the replay is %+v", r)
	}
	mode.Store("works")
	s.admin("POST", "api/replays", `{"since":"2020-01-01T00:00:00Z","status":"success"}`).want(t, 202, &r)
	if r = s.replayEnds(r.ID); r.State != "done" || r.Total != 0 {
		t.Errorf("the next replay is %+v", r)
	}
	for _, id := range []string{noID, "x"} {
		s.admin("GET", "api/replays/"+id, "").wantProblem(t, 404)
		s.admin("DELETE", "api/replays/"+id, "").wantProblem(t, 404)
	}
	if audit := string(s.admin("GET", "api/audit", "").body); strings.Count(audit, `"action":"replay_canceled"`) != 1 {
		t.Errorf("the audit log is %s", audit)
	}
}

// TestBadReplays refuses what makes no sense, and says where.
func TestBadReplays(t *testing.T) {
	s := start(t, newConfig())
	for body, want := range map[string]string{
		`{}`:               "since",
		`{"since":null}`:   "since",
		`{"since":"2026"}`: "since",
		`{"since":1}`:      "since",
		`{"since":"2026-03-13T18:30:00Z","until":"2026-03-13T18:30:00Z"}`: "until",
		`{"since":"2026-03-13T18:30:00Z","until":"tomorrow"}`:             "until",
		`{"since":"2026-03-13T18:30:00Z","status":"pending"}`:             "status",
		`{"since":"2026-03-13T18:30:00Z","status":null}`:                  "status",
		`{"since":"2026-03-13T18:30:00Z","status":"missed"}`:              "webhook_id",
		`{"since":"2026-03-13T18:30:00Z","event_type":""}`:                "event_type",
		`{"since":"2026-03-13T18:30:00Z","webhook_id":"x"}`:               "webhook_id",
		`{"since":"2026-03-13T18:30:00Z","webhook_id":null}`:              "webhook_id",
		`{"since":"2026-03-13T18:30:00Z","dry_run":null}`:                 "dry_run",
		`{"since":"2026-03-13T18:30:00Z","dry_run":"yes"}`:                "dry_run",
		`{"since":"2026-03-13T18:30:00Z","total":1}`:                      "total",
		`{"since":"2026-03-13T18:30:00Z","event_id":"` + noID + `"}`:      "event_id",
	} {
		p := s.admin("POST", "api/replays", body).wantProblem(t, 422)
		if len(p.Errors) != 1 || p.Errors[0].Field != want {
			t.Errorf("%s: %+v, want %s", body, p.Errors, want)
		}
	}
	for _, body := range []string{`[]`, `null`, `"all"`} {
		s.admin("POST", "api/replays", body).wantProblem(t, 422)
	}
	for _, id := range []string{noID, "00000000-0000-0000-0000-000000000000"} {
		s.admin("POST", "api/replays", `{"since":"2026-03-13T18:30:00Z","webhook_id":"`+id+`"}`).wantProblem(t, 404)
	}
	s.admin("GET", "api/replays?limit=1", "").wantProblem(t, 400)
}

// TestReplayMissed sends a webhook what it wants now and has no delivery of.
func TestReplayMissed(t *testing.T) {
	url, mode := recovering(t)
	mode.Store("works")
	s := start(t, newConfig().withLoopback())
	for n := range 3 {
		s.emit(fmt.Sprintf(`{"event_type":"group_created","data":{"n":%d}}`, n)).want(t, 202, nil)
	}
	s.emit(`{"event_type":"group_deleted","data":{"n":3}}`).want(t, 202, nil)
	var hook webhook
	s.admin("POST", "api/webhooks", fmt.Sprintf(`{"url":"%s","event_types":["group_created"],"filter":"data.n > 0"}`, url)).want(t, 201, &hook)
	s.emit(`{"event_type":"group_created","data":{"n":5}}`).want(t, 202, nil)
	s.requests("", 1)

	body := `{"status":"missed","since":"2020-01-01T00:00:00Z","webhook_id":"` + hook.ID + `"`
	var total struct{ Total *int }
	s.admin("POST", "api/replays", body+`,"dry_run":true}`).want(t, 200, &total)
	if total.Total == nil || *total.Total != 2 {
		t.Errorf("%v, want 2", total.Total)
	}
	s.admin("POST", "api/replays", body+`,"until":"2020-01-02T00:00:00Z","dry_run":true}`).want(t, 200, &total)
	if *total.Total != 0 {
		t.Errorf("received at another time: %d", *total.Total)
	}
	var r replay
	s.admin("POST", "api/replays", body+`}`).want(t, 202, &r)
	if r = s.replayEnds(r.ID); r.State != "done" || r.Status != "missed" || r.Total != 2 || r.Done != 2 || r.Succeeded != 2 {
		t.Errorf("the replay is %+v", r)
	}
	for _, row := range s.requests("trigger=replay", 2) {
		if row.Attempt != nil || row.Status != "success" || row.WebhookID != hook.ID {
			t.Errorf("the request is %+v", row)
		}
	}
	s.admin("POST", "api/replays", body+`,"dry_run":true}`).want(t, 200, &total)
	if *total.Total != 0 {
		t.Errorf("once all were sent: %d", *total.Total)
	}
}
