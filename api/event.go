package api

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

type eventDetail struct {
	EventType  string           `json:"event_type"`
	EventID    uuid.UUID        `json:"event_id"`
	OccurredAt time.Time        `json:"occurred_at"`
	Data       jsontext.Value   `json:"data"`
	ReceivedAt time.Time        `json:"received_at"`
	Deliveries []deliveryDetail `json:"deliveries"`
}

type deliveryDetail struct {
	WebhookID     uuid.UUID  `json:"webhook_id"`
	URL           string     `json:"url"`
	Status        string     `json:"status"`
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
}

// getEvent handles GET /api/events/{id}.
func getEvent(ctx context.Context, c *call) (response, error) {
	id, ok := c.id()
	if !ok {
		return response{}, missing("event")
	}
	ev, deliveries, err := c.api.Engine.Event(ctx, c.Tenant, id)
	if err != nil {
		return response{}, notFound(err, "event")
	}
	var sent struct {
		Data jsontext.Value `json:"data"`
	}
	if err := json.Unmarshal(ev.Payload, &sent); err != nil {
		return response{}, err
	}
	urls, err := webhookURLs(ctx, c, len(deliveries))
	if err != nil {
		return response{}, err
	}
	detail := eventDetail{
		EventType: ev.Type, EventID: ev.ID, OccurredAt: ev.OccurredAt.UTC(), Data: sent.Data,
		ReceivedAt: ev.ReceivedAt.UTC(), Deliveries: make([]deliveryDetail, 0, len(deliveries)),
	}
	for i := range deliveries {
		d := &deliveries[i]
		url, ok := urls[d.WebhookID]
		if !ok {
			continue // deleted this moment
		}
		detail.Deliveries = append(detail.Deliveries, deliveryDetail{
			WebhookID: d.WebhookID, URL: url, Status: string(d.Status), Attempts: d.Attempts,
			NextAttemptAt: timeOrNull(d.NextAttemptAt),
		})
	}
	return response{status: http.StatusOK, body: detail}, nil
}

// webhookURLs are those of all the tenant's webhooks, unless none is needed.
func webhookURLs(ctx context.Context, c *call, needed int) (map[uuid.UUID]string, error) {
	if needed == 0 {
		return nil, nil
	}
	webhooks, err := c.api.Engine.Webhooks(ctx, c.Tenant)
	if err != nil {
		return nil, err
	}
	urls := make(map[uuid.UUID]string, len(webhooks))
	for _, w := range webhooks {
		urls[w.ID] = w.URL
	}
	return urls, nil
}
