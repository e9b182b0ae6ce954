package delivery

import (
	"net/http"
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
	// TriggerReplay is that of a replay, which is no attempt either.
	TriggerReplay Trigger = "replay"
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
	// Attempt counts from 1; it is 0 for a re-run, a test or a replay, which are not
	// on the schedule.
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
	// WebhookHeaders are those that were sent because the webhook has them, with its credential
	// masked. No row has them: the engine adds them to one request, unless the webhook has
	// changed since.
	WebhookHeaders http.Header
	// Transformed: it did not send the payload. A transform made its body, or nothing was sent.
	// Stores have both bodies as ResponseBody then, which the engine joins and splits, and the
	// payload as RequestBody, while there is an event.
	Transformed bool
	// RequestBody is the bytes that were sent: those of the event's payload, unless a transform
	// made them. It is nil in lists, and once the event has expired.
	RequestBody []byte
}

// StartedAt is when the request began, to the millisecond, by the store's clock.
func (r *Request) StartedAt() time.Time { return IDTime(r.ID) }

// RequestPage is one page of the log, newest first.
type RequestPage struct {
	Requests []Request
	// Next is the RequestFilter.Before of the next page; uuid.Nil on the last.
	// A page may have fewer rows than its limit and still have a next one.
	Next uuid.UUID
}
