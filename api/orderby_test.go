package api_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestWebhookOrderByErrors says where a mistake is.
func TestWebhookOrderByErrors(t *testing.T) {
	s := start(t, newConfig())
	for expression, want := range map[string]string{
		`"data.x +\n dta.y"`: "Line 2, column 2: undeclared reference to 'dta'.",
		`"data.x == 1"`:      "Line 1, column 1: the expression gives a value of the type bool, but order_by must give a string.",
		`""`:                 "An expression must not be empty; for none, use null.",
		`1`:                  "This must be a string.",
	} {
		p := s.hostile("POST", "/hooks/api/webhooks", `{"url":"https://example.com/","order_by":`+expression+`}`).wantProblem(t, 422)
		if len(p.Errors) != 1 || p.Errors[0].Field != "order_by" || p.Errors[0].Detail != want {
			t.Errorf("%s: %+v", expression, p.Errors)
		}
	}
}

// TestWebhookOrderBy has deliveries wait for each other, as lists and events show, and intervenes.
func TestWebhookOrderBy(t *testing.T) {
	url, goOnNow := standing(t)
	goOn := sync.OnceFunc(goOnNow)
	defer goOn()
	s := start(t, newConfig().withLoopback())
	var hook webhook
	s.admin("POST", "api/webhooks", `{"url":"`+url+`/hangs","order_by":null}`).want(t, 201, &hook)
	if hook.OrderBy != nil {
		t.Errorf("order_by is %q", *hook.OrderBy)
	}
	s.admin("PATCH", "api/webhooks/"+hook.ID, `{"order_by":"data.key"}`).want(t, 200, &hook)
	if hook.OrderBy == nil || *hook.OrderBy != "data.key" {
		t.Errorf("order_by is %v", hook.OrderBy)
	}
	var receipts []receipt
	s.emit(`[{"event_type":"group_created","data":{"key":"a"}},{"event_type":"group_created","data":{"key":"a"}},{"event_type":"group_created","data":{"key":"a"}}]`).want(t, 202, &receipts)
	path := func(n int) string { return "api/events/" + receipts[n].EventID + "/deliveries/" + hook.ID }
	waiting := func() (n int) {
		for _, d := range s.deliveries("status=pending") {
			if d.NextAttemptAt == nil {
				n++
			}
		}
		return n
	}
	if n := waiting(); n != 2 {
		t.Errorf("%d deliveries wait for others, want 2", n)
	}
	var second event
	s.admin("GET", "api/events/"+receipts[1].EventID, "").want(t, 200, &second)
	if d := second.Deliveries[0]; d.Status != "pending" || d.NextAttemptAt != nil {
		t.Errorf("the second is %+v", d)
	}
	if p := s.admin("POST", path(1)+"/send", "").wantProblem(t, 409); !strings.Contains(p.Detail, "go before it") {
		t.Errorf("sent before others: %s", p.Detail)
	}
	s.admin("DELETE", path(1), "").want(t, 204, nil)
	if n := waiting(); n != 1 {
		t.Errorf("after one was canceled, %d deliveries wait for others, want 1", n)
	}
	goOn()
	var order []string
	for _, row := range s.requests("status=success", 2) {
		order = append(order, row.EventID)
	}
	if want := []string{receipts[2].EventID, receipts[0].EventID}; fmt.Sprint(order) != fmt.Sprint(want) {
		t.Errorf("the requests are, newest first, of %v, want %v", order, want)
	}
	s.admin("PATCH", "api/webhooks/"+hook.ID, `{"order_by":null}`).want(t, 200, &hook)
	if hook.OrderBy != nil {
		t.Errorf("order_by is %q", *hook.OrderBy)
	}
}
