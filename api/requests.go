package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// request is a row of the log as lists have it.
type request struct {
	ID                uuid.UUID  `json:"id"`
	WebhookID         uuid.UUID  `json:"webhook_id"`
	EventID           uuid.UUID  `json:"event_id"`
	EventType         string     `json:"event_type"`
	OccurredAt        time.Time  `json:"occurred_at"`
	Trigger           string     `json:"trigger"`
	Attempt           *int       `json:"attempt"`
	MaxAttempts       int        `json:"max_attempts"`
	Status            string     `json:"status"`
	StatusCode        *int       `json:"status_code"`
	URL               string     `json:"url"`
	Error             string     `json:"error"`
	ResponseTruncated bool       `json:"response_truncated"`
	StartedAt         time.Time  `json:"started_at"`
	DurationMS        int64      `json:"duration_ms"`
	NextAttemptAt     *time.Time `json:"next_attempt_at"`
}

// requestDetail has the bodies and what was sent with them, too.
type requestDetail struct {
	request
	ResponseBody   string            `json:"response_body"`
	RequestBody    *string           `json:"request_body"`
	RequestHeaders map[string]string `json:"request_headers"`
}

func newRequest(r *delivery.Request) request {
	out := request{
		ID: r.ID, WebhookID: r.WebhookID, EventID: r.EventID, EventType: r.EventType,
		OccurredAt: r.OccurredAt.UTC(), Trigger: string(r.Trigger), MaxAttempts: r.MaxAttempts,
		Status: string(r.Status), URL: r.URL, Error: r.Error, ResponseTruncated: r.ResponseTruncated,
		StartedAt: r.StartedAt(), DurationMS: r.Duration.Milliseconds(), NextAttemptAt: timeOrNull(r.NextAttemptAt),
	}
	if r.Trigger.Scheduled() {
		out.Attempt = &r.Attempt
	}
	if r.StatusCode != 0 {
		out.StatusCode = &r.StatusCode
	}
	return out
}

func newRequestDetail(r *delivery.Request) requestDetail {
	out := requestDetail{request: newRequest(r), ResponseBody: r.ResponseBody}
	if r.RequestBody != nil {
		body := string(r.RequestBody)
		out.RequestBody = &body
	}
	header := r.SentHeader()
	out.RequestHeaders = make(map[string]string, len(header))
	for name, values := range header {
		out.RequestHeaders[name] = values[0]
	}
	return out
}

type requestList struct {
	Data       []request `json:"data"`
	NextCursor *string   `json:"next_cursor"`
}

// listRequests handles GET /api/requests.
func listRequests(ctx context.Context, c *call) (response, error) {
	filter, none, err := filterOf(c.query)
	if err != nil {
		return response{}, err
	}
	var page delivery.RequestPage
	if !none {
		if page, err = c.api.Engine.Requests(ctx, c.Tenant, filter); err != nil {
			return response{}, err
		}
	}
	list := requestList{Data: make([]request, len(page.Requests))}
	for i := range page.Requests {
		list.Data[i] = newRequest(&page.Requests[i])
	}
	list.NextCursor = nextCursor(page.Next)
	return response{status: http.StatusOK, body: list}, nil
}

// getRequest handles GET /api/requests/{id}.
func getRequest(ctx context.Context, c *call) (response, error) {
	id, ok := c.id()
	if !ok {
		return response{}, missing("request")
	}
	r, err := c.api.Engine.Request(ctx, c.Tenant, id)
	if err != nil {
		return response{}, notFound(err, "request")
	}
	return response{status: http.StatusOK, body: newRequestDetail(r)}, nil
}

// rerunInput has no members: one that is sent all the same was meant to change
// something, and is refused.
type rerunInput struct{}

// rerunRequest handles POST /api/requests/{id}/rerun.
func rerunRequest(ctx context.Context, c *call) (response, error) {
	if err := decode(c.body, new(rerunInput)); err != nil {
		return response{}, err
	}
	id, ok := c.id()
	if !ok {
		return response{}, missing("request")
	}
	r, err := c.api.Engine.Rerun(ctx, c.Tenant, id, c.audit(delivery.ActionRequestRerun, id)...)
	if err != nil {
		return response{}, notFound(err, "request")
	}
	return response{status: http.StatusOK, body: newRequestDetail(r)}, nil
}
