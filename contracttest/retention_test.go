package contracttest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestRetention looks at both sides of a retention of three hours. The log drops
// its rows hour by hour, by Redis's clock, and events outlive them by an hour: so
// each may stay up to an hour longer than the retention.
func TestRetention(t *testing.T) {
	t.Parallel()
	const retention = `
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
		}`
	r := &retained{
		history: newHistory(t, retention),
		tenant:  uuid.NewString(),
		first:   uuid.NewString(),
		second:  uuid.NewString(),
		good:    receive(t, nil),
		bad:     receive(t, status(500)),
		paused:  receive(t, status(500)),
	}
	r.emitFirst(t, r.clientAt(0))
	c := r.clientAt(2*time.Hour + 40*time.Minute)
	r.wantAllKept(t, c)
	r.emitSecond(t, c)
	c = r.clientAt(4*time.Hour + 10*time.Minute)
	r.wantFirstGone(t, c)
	r.wantSecondKept(t, c)
	c = r.clientAt(5*time.Hour + 30*time.Minute)
	r.wantRetriesOfSecond(t, c)
	r.wantIDUsableAgain(t, c)
}

// retained is what one tenant has while the clock moves on: two events, one of
// which ends its retention, and three webhooks, all of which want both.
type retained struct {
	*history
	tenant            string
	first, second     string // the ids of the events
	good, bad, paused *receiver
	pausedWebhook     string   // the path of the webhook that is disabled for a while
	old, young        []object // the requests of the first and the second event
	rerun             object   // a re-run of a request of the first event, as young as the second
}

// clientAt is an admin of the tenant, that long after the beginning.
func (r *retained) clientAt(since time.Duration) client {
	return r.at(since).mount("tenants", "Authorization", "Bearer "+adminToken, "X-Tenant", r.tenant)
}

// emitFirst creates the webhooks and emits the first event.
func (r *retained) emitFirst(t *testing.T, c client) {
	c.webhook(t, r.good.URL, `"event_types":["alert_active"]`)
	c.webhook(t, r.bad.URL, `"event_types":["alert_active"]`)
	r.pausedWebhook = "/api/webhooks/" + text(c.webhook(t, r.paused.URL, `"event_types":["alert_active"]`)["id"])
	c.emit(t, `"event_id":"`+r.first+`"`)
	r.old = c.awaitRequests(t, "", 3)
}

// wantAllKept checks, within the retention of the first event, that all is there.
func (r *retained) wantAllKept(t *testing.T, c client) {
	if now := c.requests(t, ""); quote(ids(now)) != quote(ids(r.old)) {
		t.Errorf("within the retention the log has %v of %v", ids(now), ids(r.old))
	}
	for _, q := range r.old {
		if full := c.request(t, q); text(full["request_body"]) == "" {
			t.Errorf("within the retention: %v", full)
		}
	}
	for _, d := range list(c.must(t, 200, "GET", "/api/events/"+r.first, "")["deliveries"]) {
		want := "pending"
		if d["url"] == r.good.URL {
			want = "success"
		}
		if d["status"] != want || number(d["attempts"]) != 1 {
			t.Errorf("within the retention: %v", d)
		}
	}
	if again := c.emit(t, `"event_id":"`+r.first+`"`); again["duplicate"] != true {
		t.Errorf("within the retention: %v", again)
	}
}

// emitSecond emits the second event, within the retention of the first. It also runs
// a request of the first again, and disables a webhook.
func (r *retained) emitSecond(t *testing.T, c client) {
	r.rerun = c.must(t, 200, "POST", "/api/requests/"+text(ofURL(r.old, r.good.URL)["id"])+"/rerun", "")
	if now := wantTime(t, r.rerun["started_at"]); now.Before(r.begin.Add(2 * time.Hour)) {
		t.Fatalf("Redis's clock has not been moved: a re-run was at %v", now)
	}
	c.emit(t, `"event_id":"`+r.second+`"`)
	r.young = c.awaitRequests(t, "?event_id="+r.second, 3)
	c.must(t, 200, "PATCH", r.pausedWebhook, `{"enabled":false}`)
}

// wantFirstGone checks, after the retention of the first event, that the event and
// its old requests have gone, and that the log has everything younger.
func (r *retained) wantFirstGone(t *testing.T, c client) {
	left := append([]object{r.rerun}, r.young...)
	eventually(t, "a log with only what is younger than the retention", func() bool { // swept in steps
		return quote(ids(c.requests(t, ""))) == quote(ids(left))
	})
	for _, q := range r.old {
		c.call(t, "GET", "/api/requests/"+text(q["id"]), "").want(t, 404)
		c.call(t, "POST", "/api/requests/"+text(q["id"])+"/rerun", "").want(t, 404)
	}
	c.call(t, "GET", "/api/events/"+r.first, "").want(t, 404)
	if full := c.request(t, r.rerun); full["request_body"] != nil || full["event_id"] != r.first {
		t.Errorf("a request that outlived its event: %v", full)
	}
	c.call(t, "POST", "/api/requests/"+text(r.rerun["id"])+"/rerun", "").want(t, 409)
}

// wantSecondKept checks that the second event and the webhooks have stayed.
func (r *retained) wantSecondKept(t *testing.T, c client) {
	for _, q := range r.young {
		if full := c.request(t, q); text(full["request_body"]) == "" {
			t.Errorf("within its retention: %v", full)
		}
	}
	if e := c.must(t, 200, "GET", "/api/events/"+r.second, ""); len(list(e["deliveries"])) != 3 {
		t.Errorf("within its retention: %v", e)
	}
	if again := c.emit(t, `"event_id":"`+r.second+`"`); again["duplicate"] != true {
		t.Errorf("within its retention: %v", again)
	}
	if all := list(c.must(t, 200, "GET", "/api/webhooks", "")["data"]); len(all) != 3 {
		t.Errorf("%d webhooks, want all 3: they have no retention", len(all))
	}
}

// wantRetriesOfSecond checks that only the second event is sent again. Retries of
// both are due, but the first event has gone, and its deliveries with it.
func (r *retained) wantRetriesOfSecond(t *testing.T, c client) {
	c.must(t, 200, "PATCH", r.pausedWebhook, `{"enabled":true}`)
	for _, to := range []*receiver{r.bad, r.paused} {
		var events []string
		for _, got := range to.await(t, 3) {
			events = append(events, got.header.Get("Webhook-Id"))
		}
		if !slices.Equal(events, []string{r.first, r.second, r.second}) {
			t.Errorf("sent %v, but only %s is within its retention", events, r.second)
		}
	}
	c.awaitRequests(t, "?event_id="+r.second, 5)
	r.good.await(t, 3)
}

// wantIDUsableAgain checks that another event may have the id of the first. No webhook
// wants this one.
func (r *retained) wantIDUsableAgain(t *testing.T, c client) {
	other := c.must(t, 202, "POST", "/api/events", `{"event_type":"group_created","data":{},"event_id":"`+r.first+`"}`)
	if other["duplicate"] != false {
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
