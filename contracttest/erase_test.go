package contracttest

import "testing"

func TestErase(t *testing.T) {
	t.Parallel()
	c := fast.admin()
	r := receive(t, nil)
	c.webhook(t, r.URL)
	id := text(c.emit(t)["event_id"])
	c.awaitDelivery(t, id, "success")
	row := text(c.awaitRequests(t, "?event_id="+id, 1)[0]["id"])
	c.call(t, "DELETE", "/api/events/"+id, "").want(t, 204)
	e := c.must(t, 200, "GET", "/api/events/"+id, "")
	wantMembers(t, e, "event_type", "event_id", "occurred_at", "data", "received_at", "deliveries")
	if e["data"] != nil || len(list(e["deliveries"])) != 1 {
		t.Errorf("%v", e)
	}
	if q := c.must(t, 200, "GET", "/api/requests/"+row, ""); q["request_body"] != nil || q["response_body"] != "" {
		t.Errorf("%v", q)
	}
	c.call(t, "POST", "/api/requests/"+row+"/rerun", "").want(t, 409)
	if receipt := c.emit(t, `"event_id":"`+id+`"`); receipt["duplicate"] != true {
		t.Errorf("%v", receipt)
	}
	c.call(t, "DELETE", "/api/events/"+id, "").want(t, 204)
	c.call(t, "DELETE", "/api/events/"+unknownID, "").want(t, 404)
}
