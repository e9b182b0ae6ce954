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
	if got := standard.example([]string{"*"}); got != "alert_active" {
		t.Errorf("example is %q", got)
	}
	if got := standard.example([]string{"gone", "group_deleted"}); got != "group_deleted" {
		t.Errorf("example is %q", got)
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
	if got := everything.example([]string{"*"}); got != "test" {
		t.Errorf("example is %q", got)
	}
}
