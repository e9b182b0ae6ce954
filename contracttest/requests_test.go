package contracttest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var requestMembers = []string{
	"id", "webhook_id", "event_id", "event_type", "occurred_at", "trigger", "attempt", "max_attempts", "status", "status_code",
	"url", "error", "response_body", "response_truncated", "request_body", "started_at", "duration_ms", "next_attempt_at",
	"request_headers", // which the contract does not mention
}

// listMembers are the members of a request in a list.
func listMembers() (names []string) {
	for _, name := range requestMembers {
		if name != "request_body" && name != "response_body" && name != "request_headers" {
			names = append(names, name)
		}
	}
	return names
}

func (c client) request(t testing.TB, r object) object {
	t.Helper()
	return c.must(t, 200, "GET", "/api/requests/"+text(r["id"]), "")
}

func TestRequest(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, func(_ int, w http.ResponseWriter) { fmt.Fprint(w, "thanks") })
	w := c.webhook(t, r.URL+"/path?q=1")
	event := c.emit(t)
	short := c.awaitRequests(t, "", 1)[0]
	wantMembers(t, short, listMembers()...)
	full := c.request(t, short)
	wantMembers(t, full, requestMembers...)
	for name, value := range short {
		if quote(full[name]) != quote(value) {
			t.Errorf("%s is %v in the list, and %v of the request itself", name, value, full[name])
		}
	}
	wantUUID(t, full["id"])
	wantTime(t, full["occurred_at"])
	wantTime(t, full["started_at"])
	if number(full["duration_ms"]) < 0 {
		t.Errorf("duration_ms: %v", full["duration_ms"])
	}
	for name, want := range (object{
		"webhook_id": w["id"], "event_id": event["event_id"], "event_type": "alert_active", "trigger": "event", "status": "success",
		"attempt": 1, "max_attempts": 3, "status_code": 200, "url": r.URL + "/path?q=1", "error": "", "response_body": "thanks",
		"response_truncated": false, "request_body": r.received()[0].body, "next_attempt_at": nil,
	}) {
		if quote(full[name]) != quote(want) {
			t.Errorf("%s is %v, want %v", name, full[name], want)
		}
	}
	if got := r.received()[0]; got.method != "POST" || got.uri != "/path?q=1" {
		t.Errorf("sent %s %s", got.method, got.uri)
	}
}

func TestRequestFilters(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	good, bad := receive(t, nil), receive(t, status(410))
	a := c.webhook(t, good.URL, `"event_types":["alert_active","group_created"]`)
	b := c.webhook(t, bad.URL, `"event_types":["alert_active"]`)
	first := c.emit(t)
	c.awaitRequests(t, "", 4) // bad is tried three times, the second time in a later millisecond
	c.must(t, 202, "POST", "/api/events", `{"event_type":"group_created","data":{}}`)
	all := c.awaitRequests(t, "", 5)
	wantNewestFirst(t, all)
	middle := url.QueryEscape(text(all[2]["started_at"]))
	offset := url.QueryEscape(wantTime(t, all[2]["started_at"]).In(time.FixedZone("", 3600)).Format(time.RFC3339Nano))
	for query, want := range map[string]int{
		"":                                      5,
		"?webhook_id=" + text(a["id"]):          2,
		"?webhook_id=" + text(b["id"]):          3,
		"?webhook_id=" + unknownID:              0,
		"?event_id=" + text(first["event_id"]):  4,
		"?event_id=" + unknownID:                0,
		"?event_type=alert_active":              4,
		"?event_type=group_created":             1,
		"?status=success":                       2,
		"?status=failed":                        3,
		"?since=" + middle:                      3,
		"?until=" + middle:                      2,
		"?since=" + offset:                      3,
		"?until=" + offset:                      2,
		"?since=" + middle + "&until=" + middle: 0,
		"?status=success&event_type=alert_active&webhook_id=" + text(a["id"]): 1,
		"?status=failed&webhook_id=" + text(a["id"]):                          0,
		"?limit=200": 5,
		"?limit=2":   2,

		"?status_code=410":                                                      3,
		"?status_code=4xx&trigger=retry":                                        2,
		"?status_code=2xx":                                                      2,
		"?status_code=404":                                                      0,
		"?status_code=4xx&status=success":                                       0,
		"?trigger=event":                                                        3,
		"?url=" + url.QueryEscape(bad.URL):                                      3,
		"?url=" + url.QueryEscape(strings.ToUpper(bad.URL)):                     0,
		"?q=" + url.QueryEscape(strings.ToUpper(good.URL)):                      2,
		"?q=ANSWERED+410":                                                       3,
		"?q=" + strings.ToUpper(text(first["event_id"])[20:]):                   4,
		"?q=" + text(all[0]["id"]):                                              1,
		"?q=" + text(a["id"]) + "&limit=1":                                      1,
		"?q=nothing+has+this":                                                   0,
		"?q=410+Gone&event_id=" + text(first["event_id"]):                       3,
		"?trigger=retry&limit=1&webhook_id=" + text(b["id"]):                    1,
		"?trigger=rerun":                                                        0,
		"?status_code=410&until=" + url.QueryEscape(text(all[0]["started_at"])): 0,
	} {
		t.Run(query, func(t *testing.T) {
			if found := c.requests(t, query); len(found) != want {
				t.Errorf("%d found, want %d: %v", len(found), want, found)
			}
		})
	}
}

// wantNewestFirst wants requests in the order of a list.
func wantNewestFirst(t *testing.T, all []map[string]any) {
	t.Helper()
	for i := range len(all) - 1 {
		if wantTime(t, all[i]["started_at"]).After(wantTime(t, all[i+1]["started_at"])) {
			t.Errorf("not in the order of started_at: %v", all)
		}
	}
}

func TestNoRequests(t *testing.T) {
	t.Parallel()
	a := fast.admin().call(t, "GET", "/api/requests?webhook_id="+unknownID, "")
	if quote(a.object(t)) != `{"data":[],"next_cursor":null}` {
		t.Error(a.body)
	}
}

func TestBadRequestFilters(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	for _, query := range []string{
		"limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "limit=1.5", "status=pending", "status=", "since=yesterday", "until=2026-01-01",
		"since=", "webhook_id=x",
		"status_code=", "status_code=40", "status_code=4x", "status_code=099", "status_code=4xxx", "status_code=4XX", "status_code=%2B40", "trigger=", "trigger=x",
		"url=", "url=" + strings.Repeat("x", 2049), "q=", "q=" + strings.Repeat("%C3%BC", 201), "q=%ff", "event_id=x", "cursor=x", "cursor=%00", "nothing=1", "Limit=1", "limit=%zz",
	} {
		t.Run(query, func(t *testing.T) { c.call(t, "GET", "/api/requests?"+query, "").want(t, 400) })
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	c.webhook(t, r.URL)
	for range 7 {
		c.emit(t)
	}
	want := c.awaitRequests(t, "?limit=200", 7)
	for _, limit := range []int{1, 2, 3, 7} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			var got []object
			query := fmt.Sprintf("?status=success&limit=%d", limit)
			for cursor := ""; ; {
				page := c.must(t, 200, "GET", "/api/requests"+query+cursor, "")
				wantMembers(t, page, "data", "next_cursor")
				got = append(got, list(page["data"])...)
				if page["next_cursor"] == nil {
					break
				}
				if len(list(page["data"])) != limit || len(got) > 7 {
					t.Fatalf("a page of %d", len(list(page["data"])))
				}
				cursor = "&cursor=" + url.QueryEscape(text(page["next_cursor"]))
				if len(got) == limit {
					c.emit(t) // a newer request must not move the pages
				}
			}
			if len(got) < 7 {
				t.Fatalf("%d found", len(got))
			}
			got = got[len(got)-7:]
			for i, r := range got {
				if r["id"] != want[6-i]["id"] {
					t.Errorf("%d: %v, want %v", i, r["id"], want[6-i]["id"])
				}
			}
		})
	}
}

// TestLimit lists one request more than a page may hold.
func TestLimit(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	const most, byDefault = 200, 50
	c.webhook(t, receive(t, nil).URL)
	c.emit(t)
	const event = `{"event_type":"alert_active","data":{}}`
	c.call(t, "POST", "/api/events", "["+strings.Repeat(event+",", most-1)+event+"]").want(t, 202)
	var cursor string
	eventually(t, "all requests", func() bool {
		page := c.must(t, 200, "GET", "/api/requests?limit=200", "")
		cursor = text(page["next_cursor"])
		return len(list(page["data"])) == most && cursor != ""
	})
	if rest := c.requests(t, "?cursor="+url.QueryEscape(cursor)); len(rest) != 1 {
		t.Errorf("%d requests on the second page", len(rest))
	}
	if page := c.requests(t, ""); len(page) != byDefault {
		t.Errorf("%d requests by default", len(page))
	}
}

func TestResponseBody(t *testing.T) {
	t.Parallel()
	for _, test := range bodies {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fast.admin()
			r := receive(t, test.reply())
			c.webhook(t, r.URL)
			c.emit(t)
			full := c.request(t, c.awaitRequests(t, "", 1)[0])
			if full["response_body"] != test.want || full["response_truncated"] != test.truncated {
				t.Errorf("response_body %q, response_truncated %v", full["response_body"], full["response_truncated"])
			}
			if full["status"] != "success" {
				t.Errorf("%v", full)
			}
		})
	}
}
