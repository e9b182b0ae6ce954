package delivery

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// moments draws times that an id of version 7 can hold.
var moments = rapid.Custom(func(t *rapid.T) time.Time {
	return time.Unix(0, rapid.Int64Range(0, 1<<62).Draw(t, "ns"))
})

func TestIDIsAVersion7UUID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := moments.Draw(t, "at")
		id := NewID(at)
		if id.Version() != 7 || id.Variant() != uuid.RFC4122 {
			t.Fatalf("%s has version %d, variant %s", id, id.Version(), id.Variant())
		}
		if parsed, err := uuid.Parse(id.String()); err != nil || parsed != id {
			t.Fatalf("%s parses as %s, %v", id, parsed, err)
		}
		if got := IDTime(id); !got.Equal(at.Truncate(time.Millisecond)) {
			t.Fatalf("the time in %s is %s, not %s", id, got, at)
		}
		if got := IDTime(id).Location(); got != time.UTC {
			t.Fatalf("the time is in the zone %s, not in UTC", got)
		}
	})
}

func TestIDsSortByTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		earlier := moments.Draw(t, "earlier")
		// The fraction of a millisecond has 12 bits: 244.14 ns.
		later := earlier.Add(time.Duration(rapid.Int64Range(245, 1<<40).Draw(t, "after")))
		a, b := NewID(earlier), NewID(later)
		if bytes.Compare(a[:], b[:]) >= 0 || a.String() >= b.String() {
			t.Fatalf("%s of %s does not sort before %s of %s", a, earlier, b, later)
		}
	})
}

func TestFirstRequestID(t *testing.T) {
	w, event, at := WebhookRef{"acme", uuid.New()}, uuid.New(), time.UnixMilli(1_700_000_000_123)
	id := FirstRequestID(w, event, at)
	if id.Version() != 7 || id.Variant() != uuid.RFC4122 || !IDTime(id).Equal(at) {
		t.Errorf("%s has version %d, variant %s, time %s", id, id.Version(), id.Variant(), IDTime(id))
	}
	if other := FirstRequestID(w, event, at.Add(999*time.Microsecond)); other != id {
		t.Errorf("in the same millisecond the id is %s, then %s", id, other)
	}
	later := FirstRequestID(w, event, at.Add(time.Millisecond))
	if copy(later[:6], id[:6]); later != id {
		t.Errorf("more than the time differs between %s and %s", id, later)
	}
	for what, other := range map[string]uuid.UUID{
		"another event":   FirstRequestID(w, uuid.New(), at),
		"another webhook": FirstRequestID(WebhookRef{"acme", uuid.New()}, event, at),
		"another tenant":  FirstRequestID(WebhookRef{"globex", w.ID}, event, at),
	} {
		if other == id {
			t.Errorf("%s has the same request %s", what, id)
		}
	}
}

func TestFirstIDIsTheLowerBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := moments.Draw(t, "at").Truncate(time.Millisecond)
		first := FirstID(at)
		if first.Version() != 7 || first.Variant() != uuid.RFC4122 || !IDTime(first).Equal(at) {
			t.Fatalf("the first id of %s is %s", at, first)
		}
		within := NewID(at.Add(time.Duration(rapid.Int64Range(0, 999_999).Draw(t, "ns"))))
		if bytes.Compare(first[:], within[:]) > 0 {
			t.Fatalf("%s is before the first id %s of its millisecond", within, first)
		}
		before := NewID(at.Add(-1))
		if at.UnixNano() > 0 && bytes.Compare(before[:], first[:]) >= 0 {
			t.Fatalf("%s is of the millisecond before, and not before %s", before, first)
		}
	})
}

func TestIDsOfOneMomentDiffer(t *testing.T) {
	seen := make(map[uuid.UUID]bool)
	at := time.Date(2026, 7, 14, 12, 0, 0, 0, time.UTC)
	for range 10_000 {
		seen[NewID(at)] = true
	}
	if len(seen) != 10_000 {
		t.Errorf("10000 ids, %d of them different", len(seen))
	}
}

// The timestamp of RFC 9562's example for version 7, appendix A.6.
func TestIDTimeOfTheStandardsExample(t *testing.T) {
	id := uuid.MustParse("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
	want := time.Date(2022, 2, 22, 19, 22, 22, 0, time.UTC)
	if got := IDTime(id); !got.Equal(want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := FirstID(want).String(); got != "017f22e2-79b0-7000-8000-000000000000" {
		t.Errorf("got %s", got)
	}
}
