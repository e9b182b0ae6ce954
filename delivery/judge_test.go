package delivery

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestJudgedTogether has two requests to a webhook wait to be looked at, whose URL was changed
// between them: what one endpoint said is not taken for what the other one did.
func TestJudgedTogether(t *testing.T) {
	t.Parallel()
	began := time.Now().Truncate(time.Millisecond)
	id := uuid.New()
	failed := func(url string, after time.Duration) *Request {
		return &Request{Tenant: "t", ID: FirstID(began.Add(after)), WebhookID: id, URL: url}
	}
	old, later := failed("https://old.example", 0), failed("https://new.example", time.Second)
	for name, tc := range map[string]struct {
		first, second         *Request
		firstGone, secondGone bool
		want                  judged
	}{
		"gone, then failing":         {old, later, true, false, judged{old.URL, old.StartedAt(), true}},
		"failing, then gone":         {old, later, false, true, judged{later.URL, later.StartedAt(), true}},
		"both gone":                  {old, later, true, true, judged{later.URL, later.StartedAt(), true}},
		"both gone, the older again": {later, old, true, true, judged{later.URL, later.StartedAt(), true}},
		"both failing":               {old, later, false, false, judged{later.URL, later.StartedAt(), false}},
	} {
		j := newJudge()
		j.note(tc.first, tc.firstGone, began)
		j.note(tc.second, tc.secondGone, began)
		if _, got, ok := j.take(); !ok || got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}
