package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestCancelAndSendDelivery cancels deliveries that wait, and has others attempted at once.
func TestCancelAndSendDelivery(t *testing.T) {
	url, goOn := standing(t)
	c := newConfig().withLoopback()
	c.audit = true
	s := start(t, c)
	ids := make(map[string]string)
	for _, path := range []string{"succeeds", "fails", "hangs"} {
		var hook webhook
		s.admin("POST", "api/webhooks", fmt.Sprintf(`{"url":"%s/%s","retry":{"attempts":7}}`, url, path)).want(t, 201, &hook)
		ids[path] = hook.ID
	}
	var first, second receipt
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, &first)
	s.emit(`{"event_type":"group_created","data":{}}`).want(t, 202, &second)
	s.requests("", 4)
	path := func(e receipt, webhook string) string {
		return "api/events/" + e.EventID + "/deliveries/" + ids[webhook]
	}

	s.admin("POST", path(first, "fails")+"/send", "").want(t, 204, nil)
	rows := s.requests("event_id="+first.EventID+"&webhook_id="+ids["fails"], 2)
	if rows[0].Trigger != "retry" || *rows[0].Attempt != 2 {
		t.Errorf("what was sent is %+v", rows[0])
	}
	s.admin("DELETE", path(second, "fails"), "").want(t, 204, nil)
	row := s.requests("event_id="+second.EventID+"&webhook_id="+ids["fails"], 2)[0]
	if row.Status != "failed" || row.StatusCode != nil || row.NextAttemptAt != nil || !strings.Contains(row.Error, "canceled") || *row.Attempt != 2 || row.MaxAttempts != 7 {
		t.Errorf("the request that was not sent is %+v", row)
	}
	if all := s.deliveries("status=failed"); len(all) != 1 || all[0].EventID != second.EventID || *all[0].LastRequestID != row.ID || *all[0].LastError != row.Error {
		t.Errorf("failed are %+v", all)
	}
	for call, want := range map[string]string{
		"DELETE " + path(second, "fails"): "not pending", "POST " + path(second, "fails") + "/send": "not pending", "DELETE " + path(first, "succeeds"): "not pending",
		"DELETE " + path(first, "hangs"): "in flight", "POST " + path(first, "hangs") + "/send": "in flight",
	} {
		method, at, _ := strings.Cut(call, " ")
		if p := s.admin(method, at, "").wantProblem(t, 409); !strings.Contains(p.Detail, want) {
			t.Errorf("%s: %s", call, p.Detail)
		}
	}
	for _, at := range []string{"api/events/" + noID + "/deliveries/" + ids["fails"], "api/events/" + first.EventID + "/deliveries/" + noID, "api/events/x/deliveries/y"} {
		s.admin("DELETE", at, "").wantProblem(t, 404)
		s.admin("POST", at+"/send", "").wantProblem(t, 404)
	}
	s.admin("POST", path(first, "fails")+"/send", `{"now":true}`).wantProblem(t, 422)
	s.do("DELETE", "/hooks/"+path(first, "fails"), "", "Authorization", asViewer).wantProblem(t, 403)

	s.admin("PATCH", "api/webhooks/"+ids["fails"], `{"enabled":false}`).want(t, 200, nil)
	if p := s.admin("POST", path(first, "fails")+"/send", "").wantProblem(t, 409); !strings.Contains(p.Detail, "disabled") {
		t.Errorf("to a disabled webhook: %s", p.Detail)
	}
	s.admin("DELETE", path(first, "fails"), "").want(t, 204, nil) // which needs no request
	goOn()
	audit := string(s.admin("GET", "api/audit", "").body)
	if strings.Count(audit, `"action":"delivery_canceled"`) != 2 || strings.Count(audit, `"action":"delivery_sent"`) != 1 || strings.Count(audit, `"event_id":"`+first.EventID) != 2 {
		t.Errorf("the audit log is %s", audit)
	}
}
