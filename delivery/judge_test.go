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
	old, later := judged{url: "https://old.example", at: began}, judged{url: "https://new.example", at: began.Add(time.Second)}
	for name, tc := range map[string]struct {
		first, second         judged
		firstGone, secondGone bool
		want                  judged
	}{
		"gone, then failing":         {old, later, true, false, judged{url: old.url, at: old.at, gone: true}},
		"failing, then gone":         {old, later, false, true, judged{url: later.url, at: later.at, gone: true}},
		"both gone":                  {old, later, true, true, judged{url: later.url, at: later.at, gone: true}},
		"both gone, the older again": {later, old, true, true, judged{url: later.url, at: later.at, gone: true}},
		"both failing":               {old, later, false, false, judged{url: later.url, at: later.at, gone: false}},
	} {
		j := newJudge()
		tc.first.gone, tc.second.gone = tc.firstGone, tc.secondGone
		j.note(WebhookRef{"t", id}, tc.first, began)
		j.note(WebhookRef{"t", id}, tc.second, began)
		if _, got, ok := j.take(); !ok || got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

// TestJudgedWhenFull has more webhooks wait to be looked at than may, first of those that fail: one
// that is gone is not lost for these, and where it is, it is said once.
func TestJudgedWhenFull(t *testing.T) {
	t.Parallel()
	j, now := newJudge(), time.Now()
	fill := func(gone bool) (lost int) {
		for range maxJudged + 10 {
			if j.note(WebhookRef{"t", uuid.New()}, judged{at: now, gone: gone}, now) {
				lost++
			}
		}
		return lost
	}
	if lost := fill(false); lost != 0 {
		t.Errorf("%d failures were said to be lost", lost)
	}
	ref := WebhookRef{"t", uuid.New()}
	j.note(ref, judged{at: now, gone: true}, now)
	if got, of, _ := j.take(); got != ref || !of.gone {
		t.Errorf("took %v, %+v, and not the one that is gone", got, of)
	}
	for range 2 {
		if lost := fill(true); lost != 1 {
			t.Errorf("it was said %d times that there are too many", lost)
		}
		for range maxJudged {
			if _, of, ok := j.take(); !ok || !of.gone {
				t.Fatalf("took %+v, %t", of, ok)
			}
		}
		j.take() // none is gone any more
	}
	if len(j.failing) != maxJudged-2 {
		t.Errorf("%d failures are left", len(j.failing))
	}
}
