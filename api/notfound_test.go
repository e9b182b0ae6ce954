package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestPrefixInTheWay tells whoever did not take a prefix off what to write, unless that
// could not be written so.
func TestPrefixInTheWay(t *testing.T) {
	s := start(t, newConfig())
	for path, hint := range map[string]string{
		"/sub/api/events":                  "handle_path /sub/* ",
		"/sub/deeper/api/events":           "handle_path /sub/deeper/* ",
		"/sub-1/~me/_/v1.2/api/events":     "handle_path /sub-1/~me/_/v1.2/* ",
		"//api/events":                     "",
		"/%ff/api/events":                  "",
		"/sub%0Aimport%20other/api/events": "",
		"/%7Benv.HOME%7D/api/events":       "",
		"/%E2%80%AE/api/events":            "",
	} {
		got := s.hostile(http.MethodGet, path, "")
		p := got.wantProblem(t, http.StatusNotFound)
		if told := strings.Contains(p.Detail, "handle_path"); told != (hint != "") || !strings.Contains(p.Detail, hint) {
			t.Errorf("%s: got %q", path, p.Detail)
		}
	}
}
