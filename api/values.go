package api

import (
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// parseID takes a UUID in its usual form of 36 characters.
func parseID(s string) (uuid.UUID, bool) {
	if len(s) != 36 {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(s)
	return id, err == nil
}

// rfc3339 is the grammar of RFC 3339, section 5.6, of which time.Parse takes more.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseTime takes a time of RFC 3339, in any zone.
func parseTime(s string) (time.Time, bool) {
	if !rfc3339.MatchString(s) {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, strings.ToUpper(s))
	if err != nil {
		return time.Time{}, false
	}
	t = t.UTC()
	// The year 1 begins with Go's zero time, which stands for none; and an offset
	// can lead out of the years that RFC 3339 can write.
	return t, t.Year() > 1 && t.Year() <= 9999
}

// orNull is nil for a zero value.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// timeOrNull is nil for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
