package caddymodule_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

type webhook struct {
	ID          string    `json:"id"`
	URL         string    `json:"url"`
	Description string    `json:"description"`
	Enabled     bool      `json:"enabled"`
	EventTypes  []string  `json:"event_types"`
	HasSecret   bool      `json:"has_secret"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

type receipt struct {
	EventID    string `json:"event_id"`
	Deliveries int    `json:"deliveries"`
	Duplicate  bool   `json:"duplicate"`
}

type request struct {
	ID                string  `json:"id"`
	WebhookID         string  `json:"webhook_id"`
	EventID           string  `json:"event_id"`
	EventType         string  `json:"event_type"`
	OccurredAt        string  `json:"occurred_at"`
	Trigger           string  `json:"trigger"`
	Attempt           *int    `json:"attempt"`
	MaxAttempts       int     `json:"max_attempts"`
	Status            string  `json:"status"`
	StatusCode        *int    `json:"status_code"`
	URL               string  `json:"url"`
	Error             string  `json:"error"`
	ResponseBody      *string `json:"response_body"`
	ResponseTruncated bool    `json:"response_truncated"`
	RequestBody       *string `json:"request_body"`
	StartedAt         string  `json:"started_at"`
	DurationMS        float64 `json:"duration_ms"`
	NextAttemptAt     *string `json:"next_attempt_at"`

	RequestHeaders map[string]string `json:"request_headers"`
}

type requestList struct {
	Data       []request `json:"data"`
	NextCursor *string   `json:"next_cursor"`
}

type event struct {
	EventType  string          `json:"event_type"`
	EventID    string          `json:"event_id"`
	OccurredAt string          `json:"occurred_at"`
	Data       json.RawMessage `json:"data"`
	ReceivedAt string          `json:"received_at"`
	Deliveries []struct {
		WebhookID     string  `json:"webhook_id"`
		URL           string  `json:"url"`
		Status        string  `json:"status"`
		Attempts      int     `json:"attempts"`
		NextAttemptAt *string `json:"next_attempt_at"`
	} `json:"deliveries"`
}

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

func TestDelivery(t *testing.T) {
	redis := redistest.Start(t)
	endpoint := newReceiver(t)
	config := siteConfig{webhooks: endpoint.config(redis.Addr)}
	s := startSite(t, config)
	s.ready()

	// A webhook is created; its secret does not come back.
	var hook webhook
	created := s.admin(http.MethodPost, "api/webhooks", `{"url":"`+endpoint.URL+`/in","secret":"`+secret+`","event_types":["device_created"],"description":"for the test"}`)
	created.want(t, http.StatusCreated, &hook)
	if hook.URL != endpoint.URL+"/in" || !hook.Enabled || !hook.HasSecret || hook.Description != "for the test" || !slices.Equal(hook.EventTypes, []string{"device_created"}) {
		t.Errorf("got %+v", hook)
	}
	if got := created.header.Get("Location"); got != "webhooks/"+hook.ID {
		t.Errorf("Location is %q", got)
	}

	// An event reaches it, as it was emitted and signed.
	var got receipt
	const id = "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B"
	s.emit(`{"event_type":"device_created","event_id":"`+id+`","occurred_at":"2026-03-13T20:30:00+02:00","data":{"n":1.0,"z": [1e2]}}`).want(t, http.StatusAccepted, &got)
	if got != (receipt{strings.ToLower(id), 1, false}) {
		t.Errorf("got %+v", got)
	}
	const want = `{"event_type":"device_created","event_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b","occurred_at":"2026-03-13T18:30:00Z","data":{"n":1.0,"z": [1e2]}}`
	sent := endpoint.next(t)
	if string(sent.body) != want || sent.path != "/in" || sent.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s at %s with %v", sent.body, sent.path, sent.header)
	}
	if got := sent.header.Get("X-Level-Signature"); got != signature([]byte(want)) {
		t.Errorf("signature is %q", got)
	}

	// Again it is a duplicate, and an event that nobody wants is stored.
	s.emit(`{"event_type":"device_created","event_id":"`+id+`","data":{}}`).want(t, http.StatusAccepted, &got)
	if got != (receipt{strings.ToLower(id), 0, true}) {
		t.Errorf("got %+v", got)
	}
	var receipts []receipt
	s.emit(`[{"event_type":"device_deleted","data":{}},{"event_type":"device_deleted","data":{}}]`).want(t, http.StatusAccepted, &receipts)
	if len(receipts) != 2 || receipts[0].Deliveries != 0 || receipts[0].Duplicate || receipts[0].EventID == receipts[1].EventID {
		t.Errorf("got %+v", receipts)
	}

	// The log has it.
	row := s.requests("webhook_id="+hook.ID, 1)[0]
	if row.Trigger != "event" || row.Attempt == nil || *row.Attempt != 1 || row.MaxAttempts != 3 || row.Status != "success" ||
		row.StatusCode == nil || *row.StatusCode != 200 || row.Error != "" || row.ResponseBody != nil || row.RequestBody != nil ||
		row.OccurredAt != "2026-03-13T18:30:00Z" || row.EventID != strings.ToLower(id) || row.NextAttemptAt != nil {
		t.Errorf("got %+v", row)
	}
	var detail request
	s.admin(http.MethodGet, "api/requests/"+row.ID, "").want(t, http.StatusOK, &detail)
	if detail.ResponseBody == nil || *detail.ResponseBody != "answer 200" || detail.RequestBody == nil || *detail.RequestBody != want {
		t.Errorf("got %+v", detail)
	}
	var ev event
	s.admin(http.MethodGet, "api/events/"+id, "").want(t, http.StatusOK, &ev)
	if string(ev.Data) != `{"n":1.0,"z":[1e2]}` && string(ev.Data) != `{"n":1.0,"z": [1e2]}` || len(ev.Deliveries) != 1 ||
		ev.Deliveries[0].Status != "success" || ev.Deliveries[0].URL != hook.URL || ev.Deliveries[0].Attempts != 1 {
		t.Errorf("got %+v", ev)
	}

	// It is sent again, the same bytes.
	s.admin(http.MethodPost, "api/requests/"+row.ID+"/rerun", "").want(t, http.StatusOK, &detail)
	if again := endpoint.next(t); string(again.body) != want || again.header.Get("X-Level-Signature") != signature([]byte(want)) {
		t.Errorf("got %s", again.body)
	}
	if detail.Trigger != "rerun" || detail.Attempt != nil || detail.Status != "success" || detail.ID == row.ID {
		t.Errorf("got %+v", detail)
	}

	// A test event goes out, of a type that the webhook wants.
	for _, body := range []string{`{}`, ``, `{"event_type":"device_created"}`} {
		s.admin(http.MethodPost, "api/webhooks/"+hook.ID+"/test", body).want(t, http.StatusOK, &detail)
		test := endpoint.next(t)
		if detail.Trigger != "test" || detail.EventType != "device_created" || detail.RequestBody == nil || *detail.RequestBody != string(test.body) {
			t.Errorf("got %+v and %s", detail, test.body)
		}
	}

	// A failing endpoint is tried three times.
	endpoint.answer(http.StatusTeapot)
	s.emit(`{"event_type":"device_created","data":{"fails":true}}`).want(t, http.StatusAccepted, &got)
	rows := s.requests("event_id="+got.EventID, 3)
	for i, row := range rows {
		if *row.Attempt != 3-i || row.Status != "failed" || *row.StatusCode != http.StatusTeapot || row.Error == "" || (row.NextAttemptAt == nil) != (i == 0) {
			t.Errorf("got %+v", row)
		}
	}

	// After a reload with other settings all goes on.
	endpoint.answer(http.StatusOK)
	for len(endpoint.got) > 0 {
		<-endpoint.got
	}
	config.webhooks += "standard_webhooks\n"
	if err := s.load(config); err != nil {
		t.Fatal(err)
	}
	s.emit(`{"event_type":"device_created","data":{}}`).want(t, http.StatusAccepted, &got)
	if after := endpoint.next(t); after.header.Get("Webhook-Id") != got.EventID || after.header.Get("Webhook-Signature") == "" {
		t.Errorf("got %v", after.header)
	}

	// Changed, disabled and deleted.
	path := "api/webhooks/" + hook.ID
	s.admin(http.MethodPatch, path, `{"secret":null,"description":null,"enabled":false}`, "Content-Type", "application/merge-patch+json").want(t, http.StatusOK, &hook)
	if hook.HasSecret || hook.Enabled || hook.Description != "" || !hook.UpdatedAt.After(hook.CreatedAt) {
		t.Errorf("got %+v", hook)
	}
	s.admin(http.MethodPost, path+"/test", `{}`).want(t, http.StatusConflict, nil)
	s.admin(http.MethodPost, "api/requests/"+row.ID+"/rerun", "").want(t, http.StatusConflict, nil)
	s.admin(http.MethodDelete, path, "").want(t, http.StatusNoContent, nil)
	s.admin(http.MethodGet, path, "").want(t, http.StatusNotFound, nil)
	s.admin(http.MethodPost, "api/requests/"+row.ID+"/rerun", "").want(t, http.StatusNotFound, nil)
	s.requests("", 0)

	s.wantNoSecrets()
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
			t.Errorf("row %d is another one", i)
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
