package contracttest

import (
	"net/http"
	"testing"
)

func TestTest(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, status(200, 200, 500, 200))
	other := receive(t, nil)
	w := c.webhook(t, r.URL, `"secret":"s"`, `"event_types":["group_created"]`)
	c.webhook(t, other.URL)
	path := "/api/webhooks/" + text(w["id"]) + "/test"
	for i, test := range []struct{ body, eventType, status string }{
		{`{}`, "", "success"},
		{`{"event_type":"group_created"}`, "group_created", "success"},
		{`{}`, "", "failed"},
		{``, "", "success"},
	} {
		q := c.must(t, 200, "POST", path, test.body)
		wantMembers(t, q, requestMembers...)
		if q["trigger"] != "test" || q["attempt"] != nil || q["next_attempt_at"] != nil || q["webhook_id"] != w["id"] || q["status"] != test.status {
			t.Errorf("%v", q)
		}
		wantUUID(t, q["event_id"])
		if test.eventType != "" && q["event_type"] != test.eventType {
			t.Errorf("event_type %v", q["event_type"])
		}
		got := r.await(t, i+1)[i]
		if q["request_body"] != got.body || got.header.Get("X-Level-Signature") == "" {
			t.Errorf("the endpoint received %v, the answer was %v", got, q)
		}
		if full := c.request(t, q); quote(full) != quote(q) {
			t.Errorf("GET is %v, POST was %v", full, q)
		}
		// It is stored like any other, for its one webhook.
		e := c.must(t, 200, "GET", "/api/events/"+text(q["event_id"]), "")
		if e["event_type"] != q["event_type"] || e["occurred_at"] != q["occurred_at"] {
			t.Errorf("%v", e)
		}
		for _, d := range list(e["deliveries"]) {
			if d["webhook_id"] != w["id"] {
				t.Errorf("a delivery to another webhook: %v", d)
			}
		}
	}
	for _, body := range []string{`{"event_type":"nothing"}`, `{"event_type":1}`, `{"event_type":null}`, `{"nothing":1}`, `[]`, `null`} {
		t.Run(body, func(t *testing.T) { c.call(t, "POST", path, body).want(t, 422) })
	}
	if found := c.requests(t, ""); len(found) != 4 || len(other.received()) != 0 {
		t.Errorf("%d requests, want 4, and %d to the other webhook", len(found), len(other.received()))
	}
}

func TestRerun(t *testing.T) {
	t.Parallel()
	c := slow.admin()
	r := receive(t, status(500, 501, 200, 200, 502))
	w := c.webhook(t, r.URL)
	event := c.emit(t)
	first := c.awaitRequests(t, "", 1)[0]
	pending := c.delivery(t, event["event_id"])
	rerun := func(of object, status string) object {
		t.Helper()
		q := c.must(t, 200, "POST", "/api/requests/"+text(of["id"])+"/rerun", "")
		wantMembers(t, q, requestMembers...)
		if q["trigger"] != "rerun" || q["attempt"] != nil || q["next_attempt_at"] != nil || q["status"] != status || q["id"] == of["id"] ||
			q["event_id"] != event["event_id"] || q["webhook_id"] != w["id"] || q["occurred_at"] != of["occurred_at"] {
			t.Errorf("%v", q)
		}
		if full := c.request(t, q); quote(full) != quote(q) {
			t.Errorf("GET is %v, POST was %v", full, q)
		}
		return q
	}
	failed := rerun(first, "failed")
	if d := c.delivery(t, event["event_id"]); quote(d) != quote(pending) {
		t.Errorf("a re-run that fails leaves the schedule: %v, was %v", d, pending)
	}
	good := rerun(failed, "success")
	d := c.delivery(t, event["event_id"])
	if d["status"] != "success" || number(d["attempts"]) != 1 || d["next_attempt_at"] != nil {
		t.Errorf("a re-run that succeeds ends the delivery: %v", d)
	}
	rerun(good, "success")
	rerun(first, "failed")
	if d := c.delivery(t, event["event_id"]); d["status"] != "success" {
		t.Errorf("%v", d)
	}
	for _, got := range r.await(t, 5) {
		if got.body != r.received()[0].body {
			t.Errorf("the payload has changed: %s", got.body)
		}
	}
	if found := c.requests(t, ""); len(found) != 5 {
		t.Errorf("%d requests", len(found))
	}
	tested := c.must(t, 200, "POST", "/api/webhooks/"+text(w["id"])+"/test", "{}")
	event["event_id"] = tested["event_id"]
	rerun(tested, "failed")
	c.call(t, "POST", "/api/requests/"+unknownID+"/rerun", "").want(t, 404)
}

// TestRerunBody sends bodies with a re-run, which takes no body or an empty object.
func TestRerunBody(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	c.webhook(t, r.URL)
	c.emit(t)
	path := "/api/requests/" + text(c.awaitRequests(t, "", 1)[0]["id"]) + "/rerun"
	for _, test := range []struct {
		body, contentType string
		status            int
	}{
		{"", "", 200},
		{"{}", "application/json", 200},
		{" { }\n", "application/json; charset=utf-8", 200},
		{"{}", "text/plain", 415},
		{"{}", "application/merge-patch+json", 415},
		{" ", "application/json", 400},
		{"{", "application/json", 400},
		{"{}{}", "application/json", 400},
		{`{"` + "\xff" + `":1}`, "application/json", 400},
		{`{"nothing":1}`, "application/json", 422},
		{`{"event_type":"alert_active"}`, "application/json", 422},
		{"[]", "application/json", 422},
		{"null", "application/json", 422},
	} {
		t.Run(test.body+" "+test.contentType, func(t *testing.T) {
			c.with("Content-Type", test.contentType).call(t, "POST", path, test.body).want(t, test.status)
		})
	}
	r.await(t, 4) // the event and the three re-runs that were not refused
	if found := c.requests(t, "?status=success"); len(found) != 4 {
		t.Errorf("%d requests", len(found))
	}
}

func TestDisable(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	release, arrived := make(chan struct{}), make(chan struct{})
	r := receive(t, func(n int, w http.ResponseWriter) {
		if n == 1 {
			close(arrived)
			<-release
			w.WriteHeader(500)
		}
	})
	w := c.webhook(t, r.URL)
	path := "/api/webhooks/" + text(w["id"])
	event := c.emit(t)
	<-arrived
	c.must(t, 200, "PATCH", path, `{"enabled":false}`)
	close(release)
	first := c.awaitRequests(t, "", 1)[0]

	if receipt := c.emit(t); number(receipt["deliveries"]) != 0 {
		t.Errorf("while it is disabled: %v", receipt)
	}
	c.call(t, "POST", path+"/test", "{}").want(t, 409)
	c.call(t, "POST", "/api/requests/"+text(first["id"])+"/rerun", "").want(t, 409)
	// Another delivery runs through all its attempts meanwhile.
	control := receive(t, status(500))
	c.webhook(t, control.URL)
	c.awaitDelivery(t, c.emit(t)["event_id"], "failed")
	if d := c.delivery(t, event["event_id"]); d["status"] != "pending" || number(d["attempts"]) != 1 {
		t.Errorf("while it is disabled: %v", d)
	}
	if got := len(r.received()); got != 1 {
		t.Errorf("%d requests to a disabled webhook", got)
	}
	if found := c.requests(t, "?webhook_id="+text(w["id"])); len(found) != 1 {
		t.Errorf("the requests of a disabled webhook are %v, want the one that was there", found)
	}

	c.must(t, 200, "PATCH", path, `{"enabled":true}`)
	if d := c.awaitDelivery(t, event["event_id"], "success"); number(d["attempts"]) != 2 {
		t.Errorf("enabled again: %v", d)
	}
	if q := c.awaitRequests(t, "?webhook_id="+text(w["id"]), 2)[1]; q["trigger"] != "retry" || number(q["attempt"]) != 2 {
		t.Errorf("enabled again: %v", q)
	}
	r.await(t, 2)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := slow.admin()
	r := receive(t, status(500))
	w := c.webhook(t, r.URL)
	event := c.emit(t)
	q := c.awaitRequests(t, "", 1)[0]
	c.must(t, 204, "DELETE", "/api/webhooks/"+text(w["id"]), "")
	c.call(t, "GET", "/api/requests/"+text(q["id"]), "").want(t, 404)
	c.call(t, "POST", "/api/requests/"+text(q["id"])+"/rerun", "").want(t, 404)
	c.call(t, "POST", "/api/webhooks/"+text(w["id"])+"/test", "{}").want(t, 404)
	for _, query := range []string{"", "?webhook_id=" + text(w["id"]), "?event_id=" + text(event["event_id"]), "?status=failed", "?event_type=alert_active"} {
		if found := c.requests(t, query); len(found) != 0 {
			t.Errorf("%s finds %v", query, found)
		}
	}
	e := c.must(t, 200, "GET", "/api/events/"+text(event["event_id"]), "")
	for _, d := range list(e["deliveries"]) {
		if d["status"] == "pending" {
			t.Errorf("still pending: %v", d)
		}
	}
}

// TestChange changes the URL and the secret while the first attempt is under way.
func TestChange(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	release, arrived := make(chan struct{}), make(chan struct{})
	before := receive(t, func(_ int, w http.ResponseWriter) {
		close(arrived)
		<-release
		w.WriteHeader(500)
	})
	after := receive(t, nil)
	w := c.webhook(t, before.URL)
	event := c.emit(t)
	<-arrived
	c.must(t, 200, "PATCH", "/api/webhooks/"+text(w["id"]), `{"url":"`+after.URL+`","secret":"new"}`)
	close(release)
	c.awaitDelivery(t, event["event_id"], "success")
	requests := c.awaitRequests(t, "", 2)
	c.must(t, 200, "POST", "/api/requests/"+text(requests[0]["id"])+"/rerun", "")
	for _, got := range after.await(t, 2) {
		if got.header.Get("X-Level-Signature") == "" {
			t.Error("not signed with the new secret")
		}
	}
	if requests[0]["url"] != before.URL || requests[1]["url"] != after.URL {
		t.Errorf("%v", requests)
	}
	if d := c.delivery(t, event["event_id"]); d["url"] != after.URL {
		t.Errorf("%v", d)
	}
	before.await(t, 1)
}

func TestReplay(t *testing.T) {
	t.Parallel()
	c := slow.admin()
	r := receive(t, status(500, 500, 200))
	w := c.webhook(t, r.URL, `"retry":{"attempts":1}`)
	c.emit(t)
	c.emit(t)
	r.await(t, 2)
	eventually(t, "both deliveries have failed", func() bool {
		return len(list(c.must(t, 200, "GET", "/api/deliveries?status=failed", "")["data"])) == 2
	})
	body := `"since":"2020-01-01T00:00:00Z","webhook_id":` + quote(w["id"])
	dry := c.must(t, 200, "POST", "/api/replays", `{"dry_run":true,`+body+`}`)
	wantMembers(t, dry, "total")
	if number(dry["total"]) != 2 {
		t.Errorf("%v", dry)
	}
	replay := c.must(t, 202, "POST", "/api/replays", `{`+body+`}`)
	wantMembers(t, replay, "id", "state", "total", "done", "succeeded", "failed", "created_at", "finished_at", "webhook_id", "event_type", "status", "since", "until")
	wantUUID(t, replay["id"])
	wantTime(t, replay["created_at"])
	if number(replay["total"]) != 2 || replay["status"] != "failed" || replay["webhook_id"] != w["id"] || replay["event_type"] != nil || replay["until"] != nil {
		t.Errorf("%v", replay)
	}
	eventually(t, "the replay has ended", func() bool {
		replay = c.must(t, 200, "GET", "/api/replays/"+text(replay["id"]), "")
		return replay["state"] != "running"
	})
	wantTime(t, replay["finished_at"])
	if replay["state"] != "done" || number(replay["done"]) != 2 || number(replay["succeeded"]) != 2 || number(replay["failed"]) != 0 {
		t.Errorf("%v", replay)
	}
	if all := list(c.must(t, 200, "GET", "/api/replays", "")["data"]); len(all) != 1 || quote(all[0]) != quote(replay) {
		t.Errorf("the list is %v", all)
	}
	for _, q := range c.requests(t, "?trigger=replay") {
		if q["trigger"] != "replay" || q["attempt"] != nil || q["next_attempt_at"] != nil || q["status"] != "success" {
			t.Errorf("%v", q)
		}
	}
	if got := r.await(t, 4); got[0].body != got[2].body && got[0].body != got[3].body {
		t.Errorf("the endpoint received %v", got)
	}
	c.must(t, 204, "DELETE", "/api/replays/"+text(replay["id"]), "")
}

func TestReplayOfMissed(t *testing.T) {
	t.Parallel()
	c := slow.admin()
	c.emit(t)
	r := receive(t, status(200))
	w := c.webhook(t, r.URL, `"filter":"true"`)
	c.must(t, 422, "POST", "/api/replays", `{"since":"2020-01-01T00:00:00Z","status":"missed"}`)
	replay := c.must(t, 202, "POST", "/api/replays", `{"since":"2020-01-01T00:00:00Z","status":"missed","webhook_id":`+quote(w["id"])+`}`)
	eventually(t, "the replay has ended", func() bool {
		replay = c.must(t, 200, "GET", "/api/replays/"+text(replay["id"]), "")
		return replay["state"] != "running"
	})
	if replay["status"] != "missed" || number(replay["total"]) != 1 || number(replay["succeeded"]) != 1 {
		t.Errorf("%v", replay)
	}
	event := c.must(t, 200, "GET", "/api/events/"+text(c.requests(t, "?trigger=replay")[0]["event_id"]), "")
	if all := list(event["deliveries"]); len(all) != 1 || all[0]["status"] != "success" {
		t.Errorf("%v", event)
	}
	r.await(t, 1)
}
