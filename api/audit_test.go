package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

type auditEntry struct {
	At        time.Time      `json:"at"`
	By        string         `json:"by"`
	Address   string         `json:"address"`
	Action    string         `json:"action"`
	WebhookID string         `json:"webhook_id"`
	RequestID string         `json:"request_id"`
	Before    map[string]any `json:"before"`
	After     map[string]any `json:"after"`
}

type auditList struct {
	Data       []auditEntry `json:"data"`
	NextCursor *string      `json:"next_cursor"`
}

func (s *site) audits(query string, headers ...string) (page auditList) {
	s.t.Helper()
	s.admin("GET", "api/audit?"+query, "", headers...).want(s.t, 200, &page)
	return page
}

// audited is a site with an audit log, whose webhooks are on this machine.
func audited(t *testing.T, store delivery.Store) *site {
	t.Helper()
	c := newConfig().withLoopback()
	c.audit, c.store = true, store
	return start(t, c)
}

// TestAudit does all that is audited, and reads the audit log and Caddy's.
func TestAudit(t *testing.T) {
	for name, store := range map[string]func(t *testing.T) delivery.Store{
		"embedded": func(*testing.T) delivery.Store { return nil },
		"redis":    func(t *testing.T) delivery.Store { return redisAt(redistest.Start(t).Addr) },
	} {
		t.Run(name, func(t *testing.T) {
			s := audited(t, store(t))
			endpoint := newReceiver(t)
			began := time.Now()
			var hook webhook
			var sent struct{ ID string }
			s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`/in","secret":"hush hush","description":"a"}`).want(t, 201, &hook)
			var created map[string]any
			s.admin("GET", "api/webhooks/"+hook.ID, "").want(t, 200, &created)
			path := "api/webhooks/" + hook.ID
			patch := func(body string) { s.admin("PATCH", path, body).want(t, 200, nil) }
			patch(`{"url":"` + endpoint.URL + `/out","description":"a","event_types":["alert_active"],"retry":{"delays":["90m"]}}`)
			patch(`{"secret":"hush again"}`)
			patch(`{"secret":null,"enabled":true}`)
			patch(`{"description":"a"}`) // as it is
			patch(`{}`)                  // changes nothing
			read := s.admin("POST", path+"/test", "")
			read.want(t, 200, nil)
			if err := json.Unmarshal(read.body, &sent); err != nil {
				t.Fatal(err)
			}
			s.admin("POST", "api/requests/"+sent.ID+"/rerun", "").want(t, 200, nil)
			s.admin("DELETE", path, "").want(t, 204, nil)

			refusals := []struct{ method, path, body string }{
				{"POST", "api/webhooks", `{"url":"nonsense"}`},
				{"PATCH", path, `{"enabled":false}`},
				{"DELETE", path, ""},
				{"POST", path + "/test", ""},
				{"POST", "api/requests/" + sent.ID + "/rerun", ""},
				{"POST", "api/requests/" + noID + "/rerun", ""},
			}
			for _, r := range refusals {
				if got := s.admin(r.method, r.path, r.body); got.status < 400 {
					t.Errorf("%s %s is answered with %d", r.method, r.path, got.status)
				}
			}
			none := map[string]any(nil)
			wantAudits(t, s, hook.ID, began, []auditEntry{
				{Action: "webhook_created", After: created},
				{
					Action: "webhook_changed",
					Before: map[string]any{"url": endpoint.URL + "/in", "event_types": []any{"*"}, "retry": nil},
					After:  map[string]any{"url": endpoint.URL + "/out", "event_types": []any{"alert_active"}, "retry": map[string]any{"delays": []any{"1h30m"}}},
				},
				{Action: "webhook_changed", Before: map[string]any{"has_secret": true}, After: map[string]any{"has_secret": true}},
				{Action: "webhook_changed", Before: map[string]any{"has_secret": true}, After: map[string]any{"has_secret": false}},
				{Action: "webhook_changed", Before: map[string]any{}, After: map[string]any{}},
				{Action: "webhook_tested", Before: none},
				{Action: "request_rerun", RequestID: sent.ID},
				{Action: "webhook_deleted", Before: map[string]any{"url": endpoint.URL + "/out", "has_secret": false, "description": "a"}},
			})
			wantAuditLines(t, s, hook.ID, sent.ID)
		})
	}
}

// TestAuditOfCredentials replaces credentials by others, and tells from the audit log that they were.
func TestAuditOfCredentials(t *testing.T) {
	s := audited(t, nil)
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"http://127.0.0.1/","authorization":{"type":"bearer","token":"hush"}}`).want(t, 201, &hook)
	for _, change := range []struct{ body, want string }{
		{`{"authorization":{"type":"bearer","token":"hush"}}`, "map[] map[]"},
		{`{"authorization":{"type":"bearer","token":"hush again"}}`, "map[authorization:map[type:bearer]] map[authorization:map[type:bearer]]"},
		{`{"authorization":{"type":"basic","username":"u","password":"hush again"}}`, "map[authorization:map[type:bearer]] map[authorization:map[type:basic username:u]]"},
		{`{"authorization":null}`, "map[authorization:map[type:basic username:u]] map[authorization:<nil>]"},
	} {
		s.admin("PATCH", "api/webhooks/"+hook.ID, change.body).want(t, 200, nil)
		read := s.admin("GET", "api/audit?limit=1", "")
		var page auditList
		read.want(t, 200, &page)
		if got := fmt.Sprint(page.Data[0].Before, page.Data[0].After); got != change.want || strings.Contains(string(read.body), "hush") {
			t.Errorf("%s is audited as %s", change.body, read.body)
		}
	}
	if all := fmt.Sprint(s.log.All()); strings.Contains(all, "hush") {
		t.Errorf("there is a credential in the log: %s", all)
	}
}

// wantAudits checks the audit log. Of a webhook that was deleted, some of the members suffice.
func wantAudits(t *testing.T, s *site, webhook string, began time.Time, want []auditEntry) {
	t.Helper()
	read := s.admin("GET", "api/audit", "")
	if strings.Contains(string(read.body), "hush") {
		t.Errorf("there is a secret in %s", read.body)
	}
	var page auditList
	read.want(t, 200, &page)
	slices.Reverse(page.Data)
	if len(page.Data) != len(want) || page.NextCursor != nil {
		t.Fatalf("%d entries, want %d: %s", len(page.Data), len(want), read.body)
	}
	last := began.Add(-time.Minute)
	for i, got := range page.Data {
		w := want[i]
		if got.By != "alice" || got.Address != "192.0.2.7" || got.WebhookID != webhook || got.Action != w.Action || got.RequestID != w.RequestID ||
			got.At.Before(last) || got.At.After(time.Now().Add(time.Minute)) {
			t.Errorf("entry %d is %+v", i, got)
		}
		last = got.At
		if w.Action == "webhook_deleted" {
			for name := range got.Before {
				if _, asked := w.Before[name]; !asked {
					delete(got.Before, name)
				}
			}
		}
		if fmt.Sprint(got.Before) != fmt.Sprint(w.Before) || fmt.Sprint(got.After) != fmt.Sprint(w.After) || (got.Before == nil) != (w.Before == nil) {
			t.Errorf("entry %d, of %s, is from\n%v to\n%v, want\n%v to\n%v", i, w.Action, got.Before, got.After, w.Before, w.After)
		}
	}
}

// wantAuditLines checks what Caddy's log has of TestAudit.
func wantAuditLines(t *testing.T, s *site, webhook, request string) {
	t.Helper()
	want := []string{
		"webhook created []", "webhook changed [event_types retry url]", "webhook changed [secret]", "webhook changed [secret]", "webhook changed []",
		"webhook tested []", "request rerun []", "webhook deleted []",
	}
	var got []string
	for _, line := range s.log.All() {
		if line.LoggerName != "audit" {
			continue
		}
		fields := line.ContextMap()
		changed, _ := fields["changed"].([]any)
		got = append(got, line.Message+" "+fmt.Sprint(append([]any{}, changed...)))
		at, _ := fields["at"].(string)
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil || fields["by"] != "alice" || fields["address"] != "192.0.2.7" || fields["tenant"] != "default" ||
			fields["webhook_id"] != webhook || strings.ReplaceAll(fmt.Sprint(fields["action"]), "_", " ") != line.Message || line.Level.String() != "info" {
			t.Errorf("the line is %s %v", line.Message, fields)
		}
		if line.Message == "request rerun" && fields["request_id"] != request {
			t.Errorf("the line is %s %v", line.Message, fields)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log says %q, want %q", got, want)
	}
	if all := fmt.Sprint(s.log.All()); strings.Contains(all, "hush") {
		t.Errorf("there is a secret in the log: %s", all)
	}
}

// TestAuditPages reads the audit logs of two tenants, page by page and in part.
func TestAuditPages(t *testing.T) {
	s := audited(t, nil)
	for _, tenant := range []string{"one", "two", "one", "one", "two", "one", "one"} {
		s.admin("POST", "api/webhooks", `{"url":"http://127.0.0.1/`+tenant+`"}`, "X-Tenant", tenant).want(t, 201, nil)
	}
	for tenant, n := range map[string]int{"one": 5, "two": 2, "three": 0} {
		if page := s.audits("", "X-Tenant", tenant); len(page.Data) != n || page.NextCursor != nil {
			t.Errorf("%s has %d entries, want %d", tenant, len(page.Data), n)
		}
	}
	all := s.audits("", "X-Tenant", "one").Data
	var paged []auditEntry
	for query := "limit=2"; query != ""; {
		page := s.audits(query, "X-Tenant", "one")
		paged = append(paged, page.Data...)
		query = ""
		if page.NextCursor != nil {
			query = "limit=2&cursor=" + *page.NextCursor
		}
	}
	if fmt.Sprint(paged) != fmt.Sprint(all) {
		t.Errorf("the pages have\n%v, want\n%v", paged, all)
	}
	at := url.QueryEscape(all[0].At.Format(time.RFC3339Nano))
	for query, ok := range map[string]func(n int) bool{
		"since=" + at: func(n int) bool { return n >= 1 }, "until=" + at: func(n int) bool { return n < 5 },
		"since=2099-01-01T00:00:00Z": func(n int) bool { return n == 0 }, "until=2099-01-01T00:00:00Z": func(n int) bool { return n == 5 },
	} {
		if n := len(s.audits(query, "X-Tenant", "one").Data); !ok(n) {
			t.Errorf("%s selects %d entries", query, n)
		}
	}
	for query, field := range map[string]string{"limit=0": "limit", "limit=201": "limit", "cursor=x": "cursor", "since=today": "since", "webhook_id=" + noID: "webhook_id"} {
		got := s.hostile("GET", "/hooks/api/audit?"+query, "")
		if p := got.wantProblem(t, 400); p.fields() != field {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

// TestAuditOff checks that without the option there is nothing of an audit log, and that who
// asks for it is told how to have one.
func TestAuditOff(t *testing.T) {
	c := newConfig()
	store := memory.New()
	c.store = store
	s := start(t, c)
	s.admin("POST", "api/webhooks", `{"url":"https://example.com/"}`).want(t, 201, nil)
	if p := s.admin("GET", "api/audit", "").wantProblem(t, 404); !strings.Contains(p.Detail, "write audit into the global webhooks block") {
		t.Errorf("got %+v", p)
	}
	s.do("GET", "/hooks/api/audit", "", "Authorization", asEmitter).wantProblem(t, 403)
	s.do("GET", "/hooks/api/audit", "").wantProblem(t, 401)
	page, err := store.AuditEntries(t.Context(), "default", delivery.AuditFilter{Limit: 10})
	if err != nil || len(page.Entries) > 0 {
		t.Errorf("there are entries: %+v, %v", page, err)
	}
	for _, line := range s.log.All() {
		if line.LoggerName == "audit" {
			t.Errorf("the log says %+v", line)
		}
	}
}

// TestAuditCannotBeWritten checks that nothing is sent, and the call refused, if its entry
// cannot be written; and that the log tells a change that may have been made.
func TestAuditCannotBeWritten(t *testing.T) {
	store := &unaudited{Store: memory.New()}
	s := audited(t, store)
	endpoint := newReceiver(t)
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, 201, &hook)
	store.err = fmt.Errorf("%w: the disk is away", delivery.ErrUnavailable)
	s.admin("POST", "api/webhooks/"+hook.ID+"/test", "").wantProblem(t, 503)
	store.err = delivery.ErrFull
	s.admin("POST", "api/webhooks/"+hook.ID+"/test", "").wantProblem(t, 503)
	store.err = errors.New("no answer")
	s.admin("POST", "api/webhooks/"+hook.ID+"/test", "").wantProblem(t, 503)
	if n := len(s.requests("", 0)); n > 0 || len(endpoint.got) > 0 {
		t.Errorf("%d requests were sent", n)
	}
	s.log.TakeAll()
	if got := s.admin("DELETE", "api/webhooks/"+hook.ID, ""); got.status != 503 {
		t.Errorf("got %d", got.status)
	}
	lines := s.log.FilterMessage("webhook deleted").All()
	if len(lines) != 1 || lines[0].ContextMap()["outcome"] != "unknown" {
		t.Errorf("the log says %+v", lines)
	}
}

// unaudited is a store that does not write entries of the audit log that come alone, and does
// not say whether it deleted a webhook.
type unaudited struct {
	*memory.Store
	err error
}

func (s *unaudited) WriteAuditEntry(context.Context, *delivery.AuditEntry) error { return s.err }

func (s *unaudited) DeleteWebhook(context.Context, delivery.WebhookRef, ...*delivery.AuditEntry) error {
	return errNoAnswer
}
