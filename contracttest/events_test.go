package contracttest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestReceipt(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	receipt := c.emitter().emit(t)
	wantMembers(t, receipt, "event_id", "deliveries", "duplicate")
	wantUUID(t, receipt["event_id"])
	if number(receipt["deliveries"]) != 0 || receipt["duplicate"] != false {
		t.Errorf("an event that no webhook wants: %v", receipt)
	}
	// It is stored all the same.
	if e := c.must(t, 200, "GET", "/api/events/"+text(receipt["event_id"]), ""); quote(e["deliveries"]) != "[]" {
		t.Errorf("%v", e)
	}
	c.webhook(t, r.URL)
	c.webhook(t, r.URL, `"event_types":["alert_active","group_created"]`)
	c.webhook(t, r.URL, `"event_types":["group_created"]`)
	c.webhook(t, r.URL, `"enabled":false`)
	if receipt = c.emit(t); number(receipt["deliveries"]) != 2 {
		t.Errorf("%v", receipt)
	}
	a := c.call(t, "POST", "/api/events", `[{"event_type":"group_created","data":{}},{"event_type":"group_deleted","data":{}},{"event_type":"alert_active","data":{}}]`)
	a.want(t, 202)
	receipts := list(a.decode(t))
	if len(receipts) != 3 || number(receipts[0]["deliveries"]) != 3 || number(receipts[1]["deliveries"]) != 1 || number(receipts[2]["deliveries"]) != 2 {
		t.Errorf("%v", receipts)
	}
	a = c.call(t, "POST", "/api/events", `[{"event_type":"alert_active","data":{}}]`)
	if receipts, ok := a.decode(t).([]any); !ok || len(receipts) != 1 {
		t.Errorf("an array of one: %s", a.body)
	}
}

func TestGetEvent(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, status(204))
	w := c.webhook(t, r.URL)
	id := uuid.NewString()
	before := time.Now()
	c.emit(t, `"event_id":"`+id+`"`, `"occurred_at":"2026-01-02T05:04:05.5+02:00"`)
	c.awaitDelivery(t, id, "success")
	e := c.must(t, 200, "GET", "/api/events/"+id, "")
	wantMembers(t, e, "event_type", "event_id", "occurred_at", "data", "received_at", "deliveries")
	if e["event_type"] != "alert_active" || e["event_id"] != id || quote(e["data"]) != `{"n":1}` {
		t.Errorf("%v", e)
	}
	if !wantTime(t, e["occurred_at"]).Equal(time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC)) {
		t.Errorf("occurred_at: %v", e["occurred_at"])
	}
	if at := wantTime(t, e["received_at"]); at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("received_at: %v", at)
	}
	d := list(e["deliveries"])[0]
	wantMembers(t, d, "webhook_id", "url", "status", "attempts", "next_attempt_at")
	if d["webhook_id"] != w["id"] || d["url"] != r.URL || d["status"] != "success" || number(d["attempts"]) != 1 || d["next_attempt_at"] != nil {
		t.Errorf("%v", d)
	}
	c.must(t, 200, "GET", "/api/events/"+strings.ToUpper(id), "")
	now := c.must(t, 200, "GET", "/api/events/"+text(c.emit(t)["event_id"]), "")
	if at := wantTime(t, now["occurred_at"]); at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("occurred_at by default: %v", at)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	c.webhook(t, r.URL)
	id := uuid.NewString()
	first := c.emit(t, `"event_id":"`+strings.ToUpper(id)+`"`)
	if first["event_id"] != id || first["duplicate"] != false {
		t.Errorf("first: %v", first)
	}
	again := c.must(t, 202, "POST", "/api/events", `{"event_type":"group_created","data":{"other":true},"event_id":"`+id+`","occurred_at":"2020-01-01T00:00:00Z"}`)
	if quote(again) != `{"deliveries":0,"duplicate":true,"event_id":"`+id+`"}` {
		t.Errorf("again: %v", again)
	}
	if e := c.must(t, 200, "GET", "/api/events/"+id, ""); e["event_type"] != "alert_active" || quote(e["data"]) != `{"n":1}` {
		t.Errorf("the first event has changed: %v", e)
	}
	other := uuid.NewString()
	event := `{"event_type":"alert_active","event_id":"%s","data":{}}`
	receipts := list(c.call(t, "POST", "/api/events", fmt.Sprintf("["+event+","+event+","+event+"]", other, id, strings.ToUpper(other))).decode(t))
	if len(receipts) != 3 || receipts[0]["duplicate"] != false || receipts[1]["duplicate"] != true || receipts[2]["duplicate"] != true ||
		number(receipts[0]["deliveries"]) != 1 || number(receipts[2]["deliveries"]) != 0 || receipts[2]["event_id"] != other {
		t.Errorf("in one array: %v", receipts)
	}
	r.await(t, 2)
	// Another tenant may use the same id.
	if receipt := fast.admin().emit(t, `"event_id":"`+id+`"`); receipt["duplicate"] != false {
		t.Errorf("another tenant: %v", receipt)
	}
}

func TestBadEvents(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	good := uuid.NewString()
	goodEvent := `{"event_type":"alert_active","data":{},"event_id":"` + good + `"}`
	const stem = `"event_type":"alert_active","data":{}`
	for _, test := range []struct{ members, field string }{
		{`"data":{}`, "event_type"},
		{`"event_type":"alert_active"`, "data"},
		{`"event_type":"nothing","data":{}`, "event_type"},
		{`"event_type":"*","data":{}`, "event_type"},
		{`"event_type":"","data":{}`, "event_type"},
		{`"event_type":null,"data":{}`, "event_type"},
		{`"event_type":1,"data":{}`, "event_type"},
		{`"event_type":"alert_active","data":null`, "data"},
		{`"event_type":"alert_active","data":[]`, "data"},
		{`"event_type":"alert_active","data":"x"`, "data"},
		{stem + `,"event_id":"x"`, "event_id"},
		{stem + `,"event_id":""`, "event_id"},
		{stem + `,"event_id":1`, "event_id"},
		{stem + `,"event_id":null`, "event_id"},
		{stem + `,"event_id":"urn:uuid:` + unknownID + `"`, "event_id"},
		{stem + `,"event_id":"{` + unknownID + `}"`, "event_id"},
		{stem + `,"event_id":"` + strings.ReplaceAll(unknownID, "-", "") + `"`, "event_id"},
		{stem + `,"event_id":" ` + unknownID + `"`, "event_id"},
		{stem + `,"occurred_at":"yesterday"`, "occurred_at"},
		{stem + `,"occurred_at":"2026-01-02"`, "occurred_at"},
		{stem + `,"occurred_at":"2026-01-02T03:04:05"`, "occurred_at"},
		{stem + `,"occurred_at":"2026-02-30T03:04:05Z"`, "occurred_at"},
		{stem + `,"occurred_at":1767323045`, "occurred_at"},
		{stem + `,"occurred_at":null`, "occurred_at"},
		{stem + `,"received_at":"2026-01-02T03:04:05Z"`, "received_at"},
		{stem + `,"nothing":1`, "nothing"},
		{`"event_type":"alert_active","Data":{},"data":{}`, "Data"},
	} {
		t.Run(test.members, func(t *testing.T) {
			for _, body := range []string{"{" + test.members + "}", "[" + goodEvent + ",{" + test.members + "}]"} {
				a := c.call(t, "POST", "/api/events", body)
				a.want(t, 422)
				if field := text(list(a.object(t)["errors"])[0]["field"]); !strings.Contains(field, test.field) {
					t.Errorf("field is %q, want %s", field, test.field)
				}
			}
		})
	}
	for _, body := range []string{"[]", "null", `"x"`, "1", "[1]", "[null]", "[[" + goodEvent + "]]"} {
		t.Run(body, func(t *testing.T) { c.call(t, "POST", "/api/events", body).want(t, 422) })
	}
	// The array was refused as a whole.
	c.call(t, "GET", "/api/events/"+good, "").want(t, 404)
}

func TestManyEvents(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	events := func(n int) string {
		return "[" + strings.Repeat(`{"event_type":"alert_active","data":{}},`, n-1) + `{"event_type":"alert_active","data":{}}]`
	}
	a := c.call(t, "POST", "/api/events", events(1000))
	a.want(t, 202)
	if n := len(list(a.decode(t))); n != 1000 {
		t.Errorf("%d receipts", n)
	}
	c.call(t, "POST", "/api/events", events(1001)).want(t, 422)
	for range 11 {
		c.webhook(t, "http://127.0.0.1:1/")
	}
	c.call(t, "POST", "/api/events", events(1000)).want(t, 413)
	if found := c.requests(t, ""); len(found) != 0 {
		t.Errorf("a refused call sent %v", found)
	}
}

func TestEventSize(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	event := func(n int) string {
		const start, end = `{"event_type":"alert_active","data":{"s":"`, `"}}`
		return start + strings.Repeat("x", n-len(start)-len(end)) + end
	}
	const most = 16 << 10 // as configured
	c.call(t, "POST", "/api/events", event(most)).want(t, 202)
	c.call(t, "POST", "/api/events", event(most+1)).want(t, 413)
	c.call(t, "POST", "/api/events", "["+event(most)+","+event(most)+"]").want(t, 202)
	c.call(t, "POST", "/api/events", "["+event(most)+","+event(most+1)+"]").want(t, 413)
}

// TestSizesByDefault sends what is just small enough, and one byte more.
func TestSizesByDefault(t *testing.T) {
	t.Parallel()
	c := strict.admin()
	event := func(n int) string {
		const start, end = `{"event_type":"alert_active","data":{"s":"`, `"}}`
		return start + strings.Repeat("x", n-len(start)-len(end)) + end
	}
	const most = 1 << 20
	c.call(t, "POST", "/api/events", event(most)).want(t, 202)
	c.call(t, "POST", "/api/events", event(most+1)).want(t, 413)
	array := func(n int) string {
		start := "[" + strings.Repeat(event(most)+",", 15)
		return start + event(n-len(start)-1) + "]"
	}
	const mostOfArray = 16 << 20
	a := c.call(t, "POST", "/api/events", array(mostOfArray))
	a.want(t, 202)
	if n := len(list(a.decode(t))); n != 16 {
		t.Errorf("%d receipts", n)
	}
	c.call(t, "POST", "/api/events", array(mostOfArray+1)).want(t, 413)
}

func TestEventTypes(t *testing.T) {
	t.Parallel()
	a := fast.admin().emitter().call(t, "GET", "/api/event-types", "")
	a.want(t, 200)
	wantMembers(t, a.object(t), "data")
	var names []string
	for _, e := range list(a.object(t)["data"]) {
		wantMembers(t, e, "name", "description", "schema", "example")
		names = append(names, text(e["name"]))
	}
	want := "alert_active alert_resolved device_created device_deleted device_updated group_created group_deleted group_updated"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("names: %s", got)
	}
	// * accepts any name.
	c := slow.admin()
	r := receive(t, nil)
	c.webhook(t, r.URL, `"event_types":["invoice.paid"]`)
	if receipt := c.must(t, 202, "POST", "/api/events", `{"event_type":"invoice.paid","data":{}}`); number(receipt["deliveries"]) != 1 {
		t.Errorf("%v", receipt)
	}
}
