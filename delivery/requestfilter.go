package delivery

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// How far one page looks for rows that the filter selects, since nobody has an index of what is
// in them: so many rows, and about so many bytes of them. Such a page may be short, or empty, and
// have a next one, which goes on where this one ended.
const (
	MaxLook      = 2000
	MaxLookBytes = 8 << 20
)

// Looked counts what a page has looked at.
type Looked struct{ rows, bytes int }

// Add counts a row, with what of it was read beside the row itself.
func (l *Looked) Add(r *Request, more int) {
	l.rows++
	l.bytes += len(r.URL) + len(r.Error) + len(r.EventType) + more
}

// Far reports whether the page has to end.
func (l *Looked) Far() bool { return l.rows >= MaxLook || l.bytes >= MaxLookBytes }

// StatusCodes are those from the first to the last. The zero value is all.
type StatusCodes struct{ First, Last int }

func (s StatusCodes) has(code int) bool {
	return s == StatusCodes{} || s.First <= code && code <= s.Last
}

// RequestFilter selects rows of a tenant's log. A zero member selects all.
type RequestFilter struct {
	WebhookID uuid.UUID
	EventID   uuid.UUID
	EventType string
	Status    RequestStatus
	Since     time.Time // inclusive, of StartedAt
	Until     time.Time // exclusive, of StartedAt
	// What follows is found in the rows alone, one by one: see MaxLook.
	StatusCodes StatusCodes
	Trigger     Trigger
	// URLPrefix is what the URL begins with.
	URLPrefix string
	// Text is in the error, in the URL, or in the id of the request, its event or its webhook,
	// whether in capitals or not.
	Text string
	// Before is the last row of the previous page: older rows follow.
	Before uuid.UUID
	// Limit is how many rows a page may have, at least 1; stores give MaxPage at most.
	Limit int
}

// Bounds are the smallest id that a row of the page can have, inclusive, and the
// largest, exclusive; ok is false if there is none between.
func (f *RequestFilter) Bounds() (first, before uuid.UUID, ok bool) {
	before = uuid.Max
	if !f.Since.IsZero() {
		first = FirstID(atMillisecond(f.Since))
	}
	if !f.Until.IsZero() {
		before = FirstID(atMillisecond(f.Until))
	}
	if f.Before != uuid.Nil && bytes.Compare(f.Before[:], before[:]) < 0 {
		before = f.Before
	}
	return first, before, bytes.Compare(first[:], before[:]) < 0
}

// Newest makes a page of ids, in any order, of which those within Bounds are all that
// the filter chooses: the newest of them first, and the page's Next. It changes ids.
func (f *RequestFilter) Newest(ids []uuid.UUID) (page []uuid.UUID, next uuid.UUID) {
	first, before, _ := f.Bounds()
	page = slices.DeleteFunc(ids, func(id uuid.UUID) bool {
		return bytes.Compare(id[:], first[:]) < 0 || bytes.Compare(id[:], before[:]) >= 0
	})
	slices.SortFunc(page, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
	if len(page) > f.Limit {
		page = page[:f.Limit]
		next = page[f.Limit-1]
	}
	return page, next
}

// Matches says whether the filter selects a row, on any page.
func (f *RequestFilter) Matches(r *Request) bool {
	at := r.StartedAt()
	return f.matchesRow(r) &&
		(f.WebhookID == uuid.Nil || f.WebhookID == r.WebhookID) &&
		(f.EventID == uuid.Nil || f.EventID == r.EventID) &&
		(f.EventType == "" || f.EventType == r.EventType) &&
		(f.Status == "" || f.Status == r.Status) &&
		(f.Since.IsZero() || !at.Before(f.Since)) &&
		(f.Until.IsZero() || at.Before(f.Until))
}

// atMillisecond is the first millisecond that is not before t, and not before 1970:
// ids have no finer time.
func atMillisecond(t time.Time) time.Time {
	ms := t.UnixMilli()
	if time.UnixMilli(ms).Before(t) {
		ms++
	}
	return time.UnixMilli(min(max(ms, 0), 1<<48-1))
}

// LooksInto says whether the filter asks for what only the rows tell.
func (f *RequestFilter) LooksInto() bool {
	return f.StatusCodes != StatusCodes{} || f.Trigger != "" || f.URLPrefix != "" || f.Text != ""
}

// Narrow has the filter say what follows from it, for an index to choose fewer rows: a request
// whose status code is not 2xx has failed.
func (f *RequestFilter) Narrow() {
	if f.Status == "" && f.StatusCodes != (StatusCodes{}) && (f.StatusCodes.Last < 200 || f.StatusCodes.First > 299) {
		f.Status = RequestFailed
	}
}

// matchesRow says whether a row has what the filter looks for in it.
func (f *RequestFilter) matchesRow(r *Request) bool {
	return f.StatusCodes.has(r.StatusCode) &&
		(f.Trigger == "" || f.Trigger == r.Trigger) &&
		strings.HasPrefix(r.URL, f.URLPrefix) &&
		(f.Text == "" || f.hasText(r))
}

func (f *RequestFilter) hasText(r *Request) bool {
	text := strings.ToLower(f.Text)
	return strings.Contains(strings.ToLower(r.Error), text) || strings.Contains(strings.ToLower(r.URL), text) ||
		strings.Contains(r.ID.String(), text) || strings.Contains(r.EventID.String(), text) || strings.Contains(r.WebhookID.String(), text)
}
