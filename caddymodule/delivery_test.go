package caddymodule_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// requests waits until the log has n rows for the query.
func (s *caddySite) requests(query string, n int) []request {
	s.t.Helper()
	var list requestList
	eventually(s.t, "the log of "+query, func() bool {
		list = requestList{}
		s.admin(http.MethodGet, "api/requests?"+query, "").want(s.t, http.StatusOK, &list)
		return len(list.Data) >= n
	})
	if len(list.Data) != n {
		s.t.Fatalf("%d rows for %s, want %d", len(list.Data), query, n)
	}
	return list.Data
}

const secret = "a-secret-that-never-comes-out"

func signature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// TestDelivery goes through the life of a webhook and its events, on Redis.
func TestDelivery(t *testing.T) {
	endpoint := newReceiver(t)
	config := siteConfig{webhooks: endpoint.config(redistest.Start(t).Addr)}
	l := &life{caddySite: startSite(t, config), endpoint: endpoint}
	l.ready()
	l.create()
	l.deliver()
	l.emitOthers()
	l.readLog()
	l.sendNow()
	l.fail()
	l.reload(config)
	l.changeAndDelete()
	l.wantNoSecrets()
}

const (
	lifeID      = "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"
	lifePayload = `{"event_type":"device_created","event_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","occurred_at":"2026-03-13T18:30:00Z","data":{"n":1.0,"z": [1e2]}}`
)

// life is a site with one webhook.
type life struct {
	*caddySite
	endpoint *receiver
	hook     webhook
	row      request // the first
}

// create creates the webhook, whose secret does not come back.
func (l *life) create() {
	created := l.admin(http.MethodPost, "api/webhooks", `{"url":"`+l.endpoint.URL+`/in","secret":"`+secret+`","event_types":["device_created"],"description":"for the test"}`)
	created.want(l.t, http.StatusCreated, &l.hook)
	if l.hook.URL != l.endpoint.URL+"/in" || !l.hook.Enabled || !l.hook.HasSecret || l.hook.Description != "for the test" || !slices.Equal(l.hook.EventTypes, []string{"device_created"}) {
		l.t.Errorf("got %+v", l.hook)
	}
	if got := created.header.Get("Location"); got != "webhooks/"+l.hook.ID {
		l.t.Errorf("Location is %q", got)
	}
}

// deliver emits an event, which arrives as it was emitted, and signed.
func (l *life) deliver() {
	var got receipt
	l.emit(`{"event_type":"device_created","event_id":"`+lifeID+`","occurred_at":"2026-03-13T20:30:00+02:00","data":{"n":1.0,"z": [1e2]}}`).want(l.t, http.StatusAccepted, &got)
	if got != (receipt{strings.ToLower(lifeID), 1, false}) {
		l.t.Errorf("got %+v", got)
	}
	sent := l.endpoint.next(l.t)
	if string(sent.body) != lifePayload || sent.path != "/in" || sent.header.Get("Content-Type") != "application/json" {
		l.t.Errorf("got %s at %s with %v", sent.body, sent.path, sent.header)
	}
	if got := sent.header.Get("X-Level-Signature"); got != signature([]byte(lifePayload)) {
		l.t.Errorf("signature is %q", got)
	}
}

// emitOthers emits the event again, which is a duplicate, and events that no webhook
// wants, which are stored.
func (l *life) emitOthers() {
	var got receipt
	l.emit(`{"event_type":"device_created","event_id":"`+lifeID+`","data":{}}`).want(l.t, http.StatusAccepted, &got)
	if got != (receipt{strings.ToLower(lifeID), 0, true}) {
		l.t.Errorf("got %+v", got)
	}
	var receipts []receipt
	l.emit(`[{"event_type":"device_deleted","data":{}},{"event_type":"device_deleted","data":{}}]`).want(l.t, http.StatusAccepted, &receipts)
	if len(receipts) != 2 || receipts[0].Deliveries != 0 || receipts[0].Duplicate || receipts[0].EventID == receipts[1].EventID {
		l.t.Errorf("got %+v", receipts)
	}
}

// readLog reads the request and the event.
func (l *life) readLog() {
	l.row = l.requests("webhook_id="+l.hook.ID, 1)[0]
	if row := l.row; row.Trigger != "event" || row.Attempt == nil || *row.Attempt != 1 || row.MaxAttempts != 3 || row.Status != "success" ||
		row.StatusCode == nil || *row.StatusCode != 200 || row.Error != "" || row.ResponseBody != nil || row.RequestBody != nil ||
		row.OccurredAt != "2026-03-13T18:30:00Z" || row.EventID != strings.ToLower(lifeID) || row.NextAttemptAt != nil {
		l.t.Errorf("got %+v", row)
	}
	var detail request
	l.admin(http.MethodGet, "api/requests/"+l.row.ID, "").want(l.t, http.StatusOK, &detail)
	if detail.ResponseBody == nil || *detail.ResponseBody != "answer 200" || detail.RequestBody == nil || *detail.RequestBody != lifePayload {
		l.t.Errorf("got %+v", detail)
	}
	var ev event
	l.admin(http.MethodGet, "api/events/"+lifeID, "").want(l.t, http.StatusOK, &ev)
	if string(ev.Data) != `{"n":1.0,"z":[1e2]}` && string(ev.Data) != `{"n":1.0,"z": [1e2]}` || len(ev.Deliveries) != 1 ||
		ev.Deliveries[0].Status != "success" || ev.Deliveries[0].URL != l.hook.URL || ev.Deliveries[0].Attempts != 1 {
		l.t.Errorf("got %+v", ev)
	}
}

// sendNow sends the same bytes again, and test events of a type that the webhook wants.
func (l *life) sendNow() {
	var detail request
	l.admin(http.MethodPost, "api/requests/"+l.row.ID+"/rerun", "").want(l.t, http.StatusOK, &detail)
	if again := l.endpoint.next(l.t); string(again.body) != lifePayload || again.header.Get("X-Level-Signature") != signature([]byte(lifePayload)) {
		l.t.Errorf("got %s", again.body)
	}
	if detail.Trigger != "rerun" || detail.Attempt != nil || detail.Status != "success" || detail.ID == l.row.ID {
		l.t.Errorf("got %+v", detail)
	}
	for _, body := range []string{`{}`, ``, `{"event_type":"device_created"}`} {
		l.admin(http.MethodPost, "api/webhooks/"+l.hook.ID+"/test", body).want(l.t, http.StatusOK, &detail)
		test := l.endpoint.next(l.t)
		if detail.Trigger != "test" || detail.EventType != "device_created" || detail.RequestBody == nil || *detail.RequestBody != string(test.body) {
			l.t.Errorf("got %+v and %s", detail, test.body)
		}
	}
}

// fail has three attempts of a delivery fail.
func (l *life) fail() {
	l.endpoint.answer(http.StatusTeapot)
	var got receipt
	l.emit(`{"event_type":"device_created","data":{"fails":true}}`).want(l.t, http.StatusAccepted, &got)
	for i, row := range l.requests("event_id="+got.EventID, 3) {
		if *row.Attempt != 3-i || row.Status != "failed" || *row.StatusCode != http.StatusTeapot || row.Error == "" || (row.NextAttemptAt == nil) != (i == 0) {
			l.t.Errorf("got %+v", row)
		}
	}
}

// reload loads other settings, which the next delivery follows.
func (l *life) reload(config siteConfig) {
	l.endpoint.answer(http.StatusOK)
	l.endpoint.forget()
	config.webhooks += "standard_webhooks\n"
	if err := l.load(config); err != nil {
		l.t.Fatal(err)
	}
	var got receipt
	l.emit(`{"event_type":"device_created","data":{}}`).want(l.t, http.StatusAccepted, &got)
	if after := l.endpoint.next(l.t); after.header.Get("Webhook-Id") != got.EventID || after.header.Get("Webhook-Signature") == "" {
		l.t.Errorf("got %v", after.header)
	}
}

// changeAndDelete changes, disables and deletes the webhook.
func (l *life) changeAndDelete() {
	path, rerun := "api/webhooks/"+l.hook.ID, "api/requests/"+l.row.ID+"/rerun"
	l.admin(http.MethodPatch, path, `{"secret":null,"description":null,"enabled":false}`, "Content-Type", "application/merge-patch+json").want(l.t, http.StatusOK, &l.hook)
	if l.hook.HasSecret || l.hook.Enabled || l.hook.Description != "" || !l.hook.UpdatedAt.After(l.hook.CreatedAt) {
		l.t.Errorf("got %+v", l.hook)
	}
	l.admin(http.MethodPost, path+"/test", `{}`).want(l.t, http.StatusConflict, nil)
	l.admin(http.MethodPost, rerun, "").want(l.t, http.StatusConflict, nil)
	l.admin(http.MethodDelete, path, "").want(l.t, http.StatusNoContent, nil)
	l.admin(http.MethodGet, path, "").want(l.t, http.StatusNotFound, nil)
	l.admin(http.MethodPost, rerun, "").want(l.t, http.StatusNotFound, nil)
	l.requests("", 0)
}

// wantNoSecrets looks for secrets where they must not be.
func (s *caddySite) wantNoSecrets() {
	s.t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	if len(log) == 0 {
		s.t.Error("there is no log")
	}
	for _, hidden := range []string{secret, emitToken, adminToken} {
		if strings.Contains(string(log), hidden) {
			s.t.Errorf("%q is in the log", hidden)
		}
	}
}

func TestPages(t *testing.T) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	s := startSite(t, siteConfig{webhooks: endpoint.config(redis.Addr)})
	s.ready()
	s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`"}`).want(t, http.StatusCreated, nil)
	const events = 7
	before := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	for range events {
		s.emit(`{"event_type":"group_created","data":{}}`).want(t, http.StatusAccepted, nil)
	}
	all := s.requests("limit=200", events)

	var paged []request
	for path := "api/requests?limit=3"; ; {
		var list requestList
		s.admin(http.MethodGet, path, "").want(t, http.StatusOK, &list)
		paged = append(paged, list.Data...)
		if list.NextCursor == nil {
			break
		}
		path = "api/requests?limit=3&cursor=" + *list.NextCursor
	}
	if len(paged) != events {
		t.Fatalf("%d rows in pages", len(paged))
	}
	for i := range paged {
		if paged[i].ID != all[i].ID {
			t.Errorf("row %d of the pages is not row %d of the list", i, i)
		}
	}

	const nobody = "00000000-0000-0000-0000-000000000000"
	for query, want := range map[string]int{
		"event_type=group_created":                    events,
		"event_type=group_deleted":                    0,
		"status=success":                              events,
		"status=failed":                               0,
		"since=" + before:                             events,
		"until=" + before:                             0,
		"since=1950-01-01T00:00:00Z":                  events,
		"until=1950-01-01T00:00:00Z":                  0,
		"event_id=" + all[0].EventID:                  1,
		"event_id=" + strings.ToUpper(all[0].EventID): 1,
		"webhook_id=" + all[0].WebhookID:              events,
		"webhook_id=" + nobody:                        0,
		"event_id=" + nobody:                          0,
		"webhook_id=" + all[0].EventID:                0,
	} {
		s.requests(query, want)
	}
}
