package api_test

import (
	"strings"
	"testing"
)

func TestExpressions(t *testing.T) {
	s := start(t, newConfig())
	s.emit(`{"event_type":"alert_active","event_id":"`+noID+`","occurred_at":"2026-11-29T10:00:00Z","data":{"severity":3,"big":9223372036854775807,"name":"Höfe"}}`).want(t, 202, nil)
	on := func(expression string) string {
		return `{` + expression + `,"event_id":"` + strings.ToUpper(noID) + `"}`
	}
	for body, want := range map[string]string{
		on(`"filter":"data.severity > 2 && event_id == '` + noID + `'"`):                                                                 `true`,
		on(`"filter":"occurred_at < timestamp('2026-01-01T00:00:00Z')"`):                                                                 `false`,
		on(`"order_by":"tenant + '/' + data.name"`):                                                                                      `"default/Höfe"`,
		on(`"transform":"{'n': data.big, 'type': event_type}"`):                                                                          `{"n":9223372036854775807,"type":"alert_active"}`,
		`{"filter":"size(event_id) == 36 && data.a == 1.5","event":{"event_type":"alert_active","data":{"a":1.5}}}`:                      `true`,
		`{"transform":"[event_id]","event":{"event_type":"alert_active","event_id":"` + noID + `","data":{}}}`:                           `["` + noID + `"]`,
		`{"order_by":"string(occurred_at)","event":{"event_type":"alert_active","occurred_at":"2026-11-29T10:00:00.5+01:00","data":{}}}`: `"2026-11-29T09:00:00.5Z"`,
	} {
		got := s.admin("POST", "api/expressions", body)
		got.want(t, 200, nil)
		if text := strings.TrimSpace(string(got.body)); text != `{"result":`+want+`}` {
			t.Errorf("%s: %s, want %s", body, text, want)
		}
	}
}

func TestWrongExpressions(t *testing.T) {
	s := start(t, newConfig())
	s.emit(`{"event_type":"alert_active","event_id":"`+noID+`","data":{"name":"x"}}`).want(t, 202, nil)
	event := `"event":{"event_type":"alert_active","data":{}}`
	for _, test := range []struct{ body, field, detail string }{
		{`{"filter":"dat.x > 1",` + event + `}`, "filter", "Line 1, column 1: undeclared reference to 'dat'."},
		{`{"filter":"data.x > 1",` + event + `}`, "filter", "Line 1, column 5: no such key: x."},
		{`{"transform":"1 +\n data.x",` + event + `}`, "transform", "Line 2, column 6: no such key: x."},
		{`{"filter":"data.name","event_id":"` + noID + `"}`, "filter", "The expression gave a value of the type string, but filter must give a bool."},
		{`{"order_by":"1",` + event + `}`, "order_by", "Line 1, column 1: the expression gives a value of the type int, but order_by must give a string."},
		{`{"filter":null,` + event + `}`, "filter", "This must not be null."},
		{`{` + event + `}`, "", "The body must have one of filter, transform and order_by."},
		{`{"filter":"true","transform":"1",` + event + `}`, "", "The body must have one of filter, transform and order_by."},
		{`{"filter":"true"}`, "", "The body must have one of event_id, for a stored event, and event."},
		{`{"filter":"true","event_id":"` + noID + `",` + event + `}`, "", "The body must have one of event_id, for a stored event, and event."},
		{`{"filter":"true","event_id":"x"}`, "event_id", "This must be a UUID of 36 characters."},
		{`{"filter":"true","event":{"event_type":"no_such","data":[]}}`, "event.data", "This must be an object."},
		{`{"filter":"true","event":null}`, "event", "This must not be null."},
		{`{"filter":"[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, [1,2,3,4,5,6,7,8].all(d, [1,2,3,4,5,6,7,8].all(e, [1,2,3,4,5,6,7,8].all(f, true))))))",` + event + `}`, "filter", "The expression takes too long, or too much memory, to evaluate."},
	} {
		p := s.hostile("POST", "/hooks/api/expressions", test.body).wantProblem(t, 422)
		found := false
		for _, e := range p.Errors {
			found = found || e.Field == test.field && e.Detail == test.detail
		}
		if !found {
			t.Errorf("%.80s: %+v; want %s: %s", test.body, p.Errors, test.field, test.detail)
		}
	}
	s.admin("POST", "api/expressions", `{"filter":"true","event_id":"0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c"}`).wantProblem(t, 404)
	s.admin("POST", "api/expressions", `{"filter":"true","event_id":"`+noID+`"}`, "X-Tenant", "other").wantProblem(t, 404)
	s.do("POST", "/hooks/api/expressions", `{}`, "Authorization", asEmitter).wantProblem(t, 403)
}
