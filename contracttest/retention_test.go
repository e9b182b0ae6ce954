package contracttest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestRetention looks at the two sides of a retention of three hours. Rows of
// the log are dropped by the hour of Redis's clock, and events outlive them by
// an hour, so that each may stay for an hour more.
func TestRetention(t *testing.T) {
	t.Parallel()
	h := newHistory(t, `
		standard_webhooks
		retention 3h
		retry {
			attempts 2
			delay 2h45m
			jitter 0s 0s
		}
		destinations {
			allow_http
			allow 127.0.0.0/8
		}`)
	tenant := uuid.NewString()
	at := func(since time.Duration) client {
		return h.at(since).mount("tenants", "Authorization", "Bearer "+adminToken, "X-Tenant", tenant)
	}
	first, second := uuid.NewString(), uuid.NewString()
	good, bad, paused := receive(t, nil), receive(t, status(500)), receive(t, status(500))

	c := at(0)
	c.webhook(t, good.URL, `"event_types":["alert_active"]`)
	c.webhook(t, bad.URL, `"event_types":["alert_active"]`)
	pause := "/api/webhooks/" + text(c.webhook(t, paused.URL, `"event_types":["alert_active"]`)["id"])
	c.emit(t, `"event_id":"`+first+`"`)
	old := c.awaitRequests(t, "", 3)

	// Within the retention all is there.
	c = at(2*time.Hour + 40*time.Minute)
	if now := c.requests(t, ""); quote(ids(now)) != quote(ids(old)) {
		t.Errorf("within the retention the log has %v of %v", ids(now), ids(old))
	}
	for _, q := range old {
		if full := c.request(t, q); text(full["request_body"]) == "" {
			t.Errorf("within the retention: %v", full)
		}
	}
	for _, d := range list(c.must(t, 200, "GET", "/api/events/"+first, "")["deliveries"]) {
		want := "pending"
		if d["url"] == good.URL {
			want = "success"
		}
		if d["status"] != want || number(d["attempts"]) != 1 {
			t.Errorf("within the retention: %v", d)
		}
	}
	if again := c.emit(t, `"event_id":"`+first+`"`); again["duplicate"] != true {
		t.Errorf("within the retention: %v", again)
	}
	rerun := c.must(t, 200, "POST", "/api/requests/"+text(ofURL(old, good.URL)["id"])+"/rerun", "")
	if now := wantTime(t, rerun["started_at"]); now.Before(h.begin.Add(2 * time.Hour)) {
		t.Fatalf("Redis's clock has not been moved: a re-run was at %v", now)
	}
	c.emit(t, `"event_id":"`+second+`"`)
	young := c.awaitRequests(t, "?event_id="+second, 3)
	c.must(t, 200, "PATCH", pause, `{"enabled":false}`)

	// After it, what is due has gone and nothing else.
	c = at(4*time.Hour + 10*time.Minute)
	left := append([]object{rerun}, young...)
	if now := c.awaitRequests(t, "", 4); quote(ids(now)) != quote(ids(left)) {
		t.Errorf("after the retention the log has %v, want %v", ids(now), ids(left))
	}
	for _, q := range old {
		c.call(t, "GET", "/api/requests/"+text(q["id"]), "").want(t, 404)
		c.call(t, "POST", "/api/requests/"+text(q["id"])+"/rerun", "").want(t, 404)
	}
	c.call(t, "GET", "/api/events/"+first, "").want(t, 404)
	if full := c.request(t, rerun); full["request_body"] != nil || full["event_id"] != first {
		t.Errorf("a request that outlived its event: %v", full)
	}
	c.call(t, "POST", "/api/requests/"+text(rerun["id"])+"/rerun", "").want(t, 409)
	for _, q := range young {
		if full := c.request(t, q); text(full["request_body"]) == "" {
			t.Errorf("within its retention: %v", full)
		}
	}
	if e := c.must(t, 200, "GET", "/api/events/"+second, ""); len(list(e["deliveries"])) != 3 {
		t.Errorf("within its retention: %v", e)
	}
	if again := c.emit(t, `"event_id":"`+second+`"`); again["duplicate"] != true {
		t.Errorf("within its retention: %v", again)
	}
	if all := list(c.must(t, 200, "GET", "/api/webhooks", "")["data"]); len(all) != 3 {
		t.Errorf("%d webhooks, which have no retention", len(all))
	}

	// Of the two events whose retries are due, one has gone, with its deliveries.
	c = at(5*time.Hour + 30*time.Minute)
	c.must(t, 200, "PATCH", pause, `{"enabled":true}`)
	for _, r := range []*receiver{bad, paused} {
		var events []string
		for _, got := range r.await(t, 3) {
			events = append(events, got.header.Get("Webhook-Id"))
		}
		if !slices.Equal(events, []string{first, second, second}) {
			t.Errorf("sent %v, with %s in its retention", events, second)
		}
	}
	c.awaitRequests(t, "?event_id="+second, 5)
	good.await(t, 3)

	// The id may be used for another event, here one that nobody wants.
	if other := c.must(t, 202, "POST", "/api/events", `{"event_type":"group_created","data":{},"event_id":"`+first+`"}`); other["duplicate"] != false {
		t.Errorf("after the retention: %v", other)
	}
}

func ids(requests []object) (all []string) {
	for _, q := range requests {
		all = append(all, text(q["id"]))
	}
	slices.Sort(all)
	return all
}

func ofURL(requests []object, url string) object {
	return requests[slices.IndexFunc(requests, func(q object) bool { return q["url"] == url })]
}
