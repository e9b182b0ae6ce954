package api

import (
	"strings"
	"testing"
)

func TestEventTypes(t *testing.T) {
	standard, err := NewEventTypes(nil)
	if err != nil || len(standard.names) != 8 || standard.check("alert_active") != nil || standard.check("other") == nil || standard.check("*") == nil {
		t.Errorf("got %+v, %v", standard, err)
	}
	everything, err := NewEventTypes([]string{"*"})
	if err != nil || everything.check("any name, really: ünïcode/1") != nil {
		t.Errorf("got %+v, %v", everything, err)
	}
	for _, name := range []string{"", "*", "a\nb", "a\x00b", "\xff", strings.Repeat("x", 129)} {
		if everything.check(name) == nil {
			t.Errorf("%q was taken", name)
		}
	}
	if _, err := NewEventTypes(make([]string, 1001)); err == nil || !strings.Contains(err.Error(), "1000") {
		t.Errorf("1001 types: %v", err)
	}
	for _, tc := range []struct {
		types  *EventTypes
		wanted []string
		want   string
	}{
		{standard, []string{"*"}, "alert_active"},
		{standard, []string{"gone", "group_deleted"}, "group_deleted"},
		{standard, []string{"gone"}, ""},
		{everything, []string{"*"}, "test"},
		{everything, []string{"gone"}, "gone"},
	} {
		if got, ok := tc.types.example(tc.wanted); got != tc.want || ok != (tc.want != "") {
			t.Errorf("of %q the example is %q, %t", tc.wanted, got, ok)
		}
	}
}
