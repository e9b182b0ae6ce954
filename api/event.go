package api

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// eventDetail is an event as responses have it: the members of its envelope, and what
// has become of it.
type eventDetail struct {
	EventType  string         `json:"event_type"`
	EventID    uuid.UUID      `json:"event_id"`
	OccurredAt time.Time      `json:"occurred_at"`
	Data       jsontext.Value `json:"data"`
	eventState
}

type eventState struct {
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
	urls, err := webhookURLs(ctx, c, deliveries)
	if err != nil {
		return response{}, err
	}
	state := eventState{ReceivedAt: ev.ReceivedAt.UTC(), Deliveries: make([]deliveryDetail, 0, len(deliveries))}
	for i := range deliveries {
		d := &deliveries[i]
		url, ok := urls[d.WebhookID]
		if !ok {
			continue // deleted this moment
		}
		state.Deliveries = append(state.Deliveries, deliveryDetail{
			WebhookID: d.WebhookID, URL: url, Status: string(d.Status), Attempts: d.Attempts,
			NextAttemptAt: timeOrNull(d.NextAttemptAt),
		})
	}
	if ev.Erased {
		body := eventDetail{ev.Type, ev.ID, ev.OccurredAt, jsontext.Value("null"), state}
		return response{status: http.StatusOK, body: body}, nil
	}
	encoded, err := json.Marshal(&state)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: join(ev.Payload, encoded)}, nil
}

// join makes one object of two that have no member in common. Neither is encoded again:
// the data of an event stays as its emitter spelled it.
func join(a, b []byte) rawJSON {
	joined := make(rawJSON, 0, len(a)+len(b)+1) // and a line break
	joined = append(joined, a[:len(a)-1]...)
	joined = append(joined, ',')
	return append(joined, b[1:]...)
}

// webhookURLs are those of the deliveries' webhooks.
func webhookURLs(ctx context.Context, c *call, deliveries []delivery.Delivery) (map[uuid.UUID]string, error) {
	ids := make([]uuid.UUID, len(deliveries))
	for i := range deliveries {
		ids[i] = deliveries[i].WebhookID
	}
	urls := make(map[uuid.UUID]string, len(ids))
	err := c.api.Engine.EachWebhook(ctx, c.Tenant, ids, func(w *delivery.Webhook) { urls[w.ID] = w.URL })
	return urls, err
}
