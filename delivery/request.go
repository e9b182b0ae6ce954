package delivery

import (
	"bytes"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Trigger says why a request was sent.
type Trigger string

// The first attempt of a delivery, a later one, a re-run asked for by an admin,
// and a test event. Only the first two count as attempts.
const (
	TriggerEvent Trigger = "event"
	TriggerRetry Trigger = "retry"
	TriggerRerun Trigger = "rerun"
	TriggerTest  Trigger = "test"
)

// Scheduled says whether the request is an attempt of the schedule, which holds
// a lease on its delivery.
func (t Trigger) Scheduled() bool { return t == TriggerEvent || t == TriggerRetry }

// RequestStatus is how a request ended.
type RequestStatus string

// Success is a 2xx whose whole response came in time; everything else failed.
const (
	RequestSuccess RequestStatus = "success"
	RequestFailed  RequestStatus = "failed"
)

// Request is one HTTP attempt of a delivery: one row of the log.
type Request struct {
	Tenant     string
	ID         uuid.UUID // of version 7; its time is StartedAt, by the store's clock
	WebhookID  uuid.UUID
	EventID    uuid.UUID
	EventType  string
	OccurredAt time.Time
	Trigger    Trigger
	// Attempt counts from 1; it is 0 for a re-run or a test, which are not on the
	// schedule.
	Attempt     int
	MaxAttempts int
	Status      RequestStatus
	StatusCode  int // 0 if no status line came
	URL         string
	Error       string // one sentence, or "" on success
	Duration    time.Duration
	Headers     RequestHeaders
	// NextAttemptAt is when the next attempt of the delivery is due, zero if this
	// request ends the schedule or does not belong to it. Stores fill it in.
	NextAttemptAt time.Time

	// ResponseBody is UTF-8 text. Lists leave it out.
	ResponseBody      string
	ResponseTruncated bool
	// RequestBody is the bytes that were sent, which are the event's payload. It is
	// nil in lists, and once the event has expired.
	RequestBody []byte
}

// StartedAt is when the request began, to the millisecond, by the store's clock.
func (r *Request) StartedAt() time.Time { return IDTime(r.ID) }

// RequestFilter selects rows of a tenant's log. A zero member selects all.
type RequestFilter struct {
	WebhookID uuid.UUID
	EventID   uuid.UUID
	EventType string
	Status    RequestStatus
	Since     time.Time // inclusive, of StartedAt
	Until     time.Time // exclusive, of StartedAt
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
	return (f.WebhookID == uuid.Nil || f.WebhookID == r.WebhookID) &&
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

// RequestPage is one page of the log, newest first.
type RequestPage struct {
	Requests []Request
	// Next is the RequestFilter.Before of the next page; uuid.Nil on the last.
	// A page may have fewer rows than its limit and still have a next one.
	Next uuid.UUID
}
