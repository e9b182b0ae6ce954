package api_test

import (
	"strings"
	"testing"
)

func TestWebhookFilter(t *testing.T) {
	endpoint := newReceiver(t)
	s := start(t, newConfig().withLoopback())
	create := func(members string) reply {
		return s.hostile("POST", "/hooks/api/webhooks", `{"url":"`+endpoint.URL+`"`+members+`}`)
	}
	for members, want := range map[string]string{
		`,"filter":"data.x > 1 &&\n dta.y"`: "Line 2, column 2: undeclared reference to 'dta'.",
		`,"filter":"'text'"`:                "Line 1, column 1: the expression gives a value of the type string, but filter must give a bool.",
		`,"filter":""`:                      "An expression must not be empty; for none, use null.",
		`,"filter":"true || '` + strings.Repeat("x", 2048) + `' == ''"`: "An expression for this may have at most 2048 bytes.",
		`,"filter":1`: "This must be a string.",
	} {
		if p := create(members).wantProblem(t, 422); len(p.Errors) != 1 || p.Errors[0].Field != "filter" || p.Errors[0].Detail != want {
			t.Errorf("%.60s: %+v", members, p.Errors)
		}
	}
	var hook webhook
	wants := func(members, want string) {
		t.Helper()
		got := s.hostile("PATCH", "/hooks/api/webhooks/"+hook.ID, members)
		if got.want(t, 200, &hook); hook.Filter == nil || *hook.Filter != want {
			t.Errorf("after %s: %s", members, got.body)
		}
	}
	create(`,"filter":null`).want(t, 201, &hook)
	if hook.Filter != nil {
		t.Errorf("the filter is %q", *hook.Filter)
	}
	wants(`{"filter":"data.n == 2"}`, "data.n == 2")
	wants(`{"description":"x"}`, "data.n == 2")
	var receipts []receipt
	s.emit(`[{"event_type":"alert_active","data":{"n":1}},{"event_type":"alert_active","data":{"n":2}},{"event_type":"alert_active","data":{}}]`).want(t, 202, &receipts)
	if receipts[0].Deliveries != 0 || receipts[1].Deliveries != 1 || receipts[2].Deliveries != 0 {
		t.Errorf("%+v", receipts)
	}
	rows := s.requests("webhook_id="+hook.ID, 1)
	if rows[0].Status != "success" {
		t.Errorf("%+v", rows[0])
	}
	s.hostile("PATCH", "/hooks/api/webhooks/"+hook.ID, `{"filter":null}`).want(t, 200, &hook)
	if hook.Filter != nil {
		t.Errorf("the filter is %q", *hook.Filter)
	}
}
