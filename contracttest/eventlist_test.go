package contracttest

import (
	"encoding/base64"
	"fmt"
	"slices"
	"testing"
)

// eventIDs reads all pages of a list of events.
func (c client) eventIDs(t *testing.T, query string) (ids []string) {
	t.Helper()
	for cursor := ""; ; {
		page := c.must(t, 200, "GET", "/api/events?"+query+cursor, "")
		for _, e := range list(page["data"]) {
			ids = append(ids, text(e["event_id"]))
		}
		if page["next_cursor"] == nil {
			return ids
		}
		cursor = "&cursor=" + text(page["next_cursor"])
	}
}

func TestListEvents(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	var want []string
	for i := range 7 {
		eventType := "alert_active"
		if i == 3 {
			eventType = "group_created"
			c.webhook(t, r.URL)
		}
		receipt := c.must(t, 202, "POST", "/api/events", `{"event_type":"`+eventType+`","data":{}}`)
		want = append(want, text(receipt["event_id"]))
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 3, 7, 200} {
		if got := c.eventIDs(t, fmt.Sprint("limit=", limit)); !slices.Equal(got, want) {
			t.Errorf("limit %d: %v, want %v", limit, got, want)
		}
	}
	page := c.must(t, 200, "GET", "/api/events", "")
	wantMembers(t, page, "data", "next_cursor")
	middle := list(page["data"])[3]
	wantMembers(t, middle, "event_id", "event_type", "occurred_at", "received_at", "deliveries")
	one := c.must(t, 200, "GET", "/api/events/"+want[3], "")
	for _, name := range []string{"event_id", "event_type", "occurred_at", "received_at"} {
		if middle[name] != one[name] {
			t.Errorf("%s is %v, and %v in the event", name, middle[name], one[name])
		}
	}
	if number(middle["deliveries"]) != 1 || number(list(page["data"])[6]["deliveries"]) != 0 {
		t.Errorf("%v", page)
	}
	at := text(middle["received_at"])
	if got := c.eventIDs(t, "event_type=group_created"); !slices.Equal(got, want[3:4]) {
		t.Errorf("by type: %v", got)
	}
	since, until := c.eventIDs(t, "since="+at), c.eventIDs(t, "until="+at)
	if !slices.Equal(slices.Concat(since, until), want) || !slices.Contains(since, want[3]) {
		t.Errorf("since %v, until %v", since, until)
	}
	strange := base64.RawURLEncoding.EncodeToString([]byte{6, 1, 2, 3})
	for _, query := range []string{"status=failed", "limit=0", "limit=201", "cursor=x", "cursor=AAAA", "cursor=" + strange, "since=x", "event_type=", "event_id=" + unknownID} {
		c.call(t, "GET", "/api/events?"+query, "").want(t, 400)
	}
}
