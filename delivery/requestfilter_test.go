package delivery

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestRequestFilter(t *testing.T) {
	row := Request{
		ID: uuid.MustParse("01a229b8-387b-7fe9-b932-ddbe4236631f"), EventID: uuid.MustParse("11a229b8-387b-7fe9-b932-ddbe4236631f"),
		WebhookID: uuid.MustParse("21a229b8-387b-7fe9-b932-ddbe4236631f"), Status: RequestFailed, StatusCode: 404, Trigger: TriggerRetry,
		URL: "https://example.com/Hook", Error: "The endpoint responded with 404 Ünknown.",
	}
	for _, tc := range []struct {
		name   string
		filter RequestFilter
		want   bool
	}{
		{"all", RequestFilter{}, true},
		{"code", RequestFilter{StatusCodes: StatusCodes{404, 404}}, true},
		{"class", RequestFilter{StatusCodes: StatusCodes{400, 499}}, true},
		{"code above", RequestFilter{StatusCodes: StatusCodes{405, 405}}, false},
		{"code below", RequestFilter{StatusCodes: StatusCodes{300, 399}}, false},
		{"trigger", RequestFilter{Trigger: TriggerRetry}, true},
		{"other trigger", RequestFilter{Trigger: TriggerRerun}, false},
		{"URL", RequestFilter{URLPrefix: "https://example.com/H"}, true},
		{"URL in other letters", RequestFilter{URLPrefix: "https://example.com/h"}, false},
		{"within the URL", RequestFilter{URLPrefix: "example"}, false},
		{"text of the URL", RequestFilter{Text: "COM/hook"}, true},
		{"text of the error", RequestFilter{Text: "üNKNOWN"}, true},
		{"id", RequestFilter{Text: "01A229b8-"}, true},
		{"event", RequestFilter{Text: "11a229b8"}, true},
		{"webhook", RequestFilter{Text: "21a229b8"}, true},
		{"no text", RequestFilter{Text: "hook The"}, false},
		{"all at once", RequestFilter{StatusCodes: StatusCodes{400, 499}, Trigger: TriggerRetry, URLPrefix: "https://", Text: "404", Status: RequestFailed}, true},
	} {
		if got := tc.filter.Matches(&row); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}

// TestNarrow has an index choose failures only where all that is looked for are failures.
func TestNarrow(t *testing.T) {
	for codes, want := range map[StatusCodes]RequestStatus{
		{}: "", {200, 299}: "", {204, 204}: "", {299, 299}: "", {100, 199}: RequestFailed, {300, 300}: RequestFailed, {500, 599}: RequestFailed,
	} {
		f := RequestFilter{StatusCodes: codes}
		if f.Narrow(); f.Status != want {
			t.Errorf("%v: %q", codes, f.Status)
		}
	}
	f := RequestFilter{StatusCodes: StatusCodes{500, 599}, Status: RequestSuccess}
	if f.Narrow(); f.Status != RequestSuccess {
		t.Errorf("what was asked for is now %q", f.Status)
	}
}

func TestLooked(t *testing.T) {
	var rows, bytes Looked
	for range MaxLook - 1 {
		rows.Add(new(Request), 0)
	}
	bytes.Add(&Request{URL: "https://a"}, MaxLookBytes-10)
	if rows.Far() || bytes.Far() {
		t.Error("it is too far one row or byte too early")
	}
	rows.Add(new(Request), 0)
	bytes.Add(&Request{Error: strings.Repeat("x", 1)}, 0)
	if !rows.Far() || !bytes.Far() {
		t.Errorf("%+v and %+v are not too far", rows, bytes)
	}
}
