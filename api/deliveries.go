package api

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// listedDelivery is a delivery as lists have it.
type listedDelivery struct {
	EventID       uuid.UUID  `json:"event_id"`
	EventType     string     `json:"event_type"`
	WebhookID     uuid.UUID  `json:"webhook_id"`
	URL           string     `json:"url"`
	Status        string     `json:"status"`
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	LastRequestID *uuid.UUID `json:"last_request_id"`
	LastError     *string    `json:"last_error"`
}

type deliveryList struct {
	Data       []listedDelivery `json:"data"`
	NextCursor *string          `json:"next_cursor"`
}

var (
	deliveryParameters = []string{"webhook_id", "event_type", "status", "since", "until", "limit", "cursor"}
	deliveryStatuses   = []delivery.DeliveryStatus{
		delivery.DeliveryPending, delivery.DeliveryRetrying, delivery.DeliveryFailed, delivery.DeliverySuccess,
	}
)

// listDeliveries handles GET /api/deliveries.
func listDeliveries(ctx context.Context, c *call) (response, error) {
	filter, none, err := deliveryFilterOf(c.query)
	if err != nil {
		return response{}, err
	}
	var page delivery.DeliveryPage
	if !none {
		if page, err = c.api.Engine.Deliveries(ctx, c.Tenant, filter); err != nil {
			return response{}, err
		}
	}
	deliveries := make([]delivery.Delivery, len(page.Deliveries))
	for i := range page.Deliveries {
		deliveries[i] = page.Deliveries[i].Delivery
	}
	urls, err := webhookURLs(ctx, c, deliveries)
	if err != nil {
		return response{}, err
	}
	list := deliveryList{Data: make([]listedDelivery, 0, len(page.Deliveries))}
	for i := range page.Deliveries {
		if url, ok := urls[deliveries[i].WebhookID]; ok { // else it was deleted this moment
			list.Data = append(list.Data, newListedDelivery(&page.Deliveries[i], url))
		}
	}
	if page.More {
		list.NextCursor = new(encodeDeliveryCursor(page.Next))
	}
	return response{status: http.StatusOK, body: list}, nil
}

func newListedDelivery(d *delivery.ListedDelivery, url string) listedDelivery {
	listed := listedDelivery{
		EventID: d.EventID, EventType: d.EventType, WebhookID: d.WebhookID, URL: url, Status: string(d.Status),
		Attempts: d.Attempts, NextAttemptAt: timeOrNull(d.NextAttemptAt),
	}
	if d.Last != nil {
		listed.LastRequestID, listed.LastError = &d.Last.ID, &d.Last.Error
	}
	return listed
}

// deliveryFilterOf reads a query, in the words of that of requests.
func deliveryFilterOf(query url.Values) (f delivery.DeliveryFilter, none bool, err error) {
	common := url.Values{}
	for name, values := range query {
		switch value := values[0]; name {
		case "status":
			f.Status = delivery.DeliveryStatus(value)
			if !slices.Contains(deliveryStatuses, f.Status) {
				return f, false, badParameter(name, "This must be pending, retrying, failed or success.")
			}
		case "cursor":
			var ok bool
			if f.After, ok = decodeDeliveryCursor(value); !ok {
				return f, false, badParameter(name, "This is not a cursor: use the next_cursor of a page.")
			}
		default:
			common[name] = values
		}
	}
	r, none, err := filterOf(common)
	f.WebhookID, f.EventType, f.Since, f.Until, f.Limit = r.WebhookID, r.EventType, r.Since, r.Until, r.Limit
	return f, none, err
}

// The first byte of a cursor of deliveries says what it has: the id of a request, or when a webhook
// was created, in nanoseconds, its id, and the place among its deliveries.
const (
	cursorAttempted = 4
	cursorUntried   = 5
)

func encodeDeliveryCursor(at delivery.DeliveryPlace) string {
	raw := append([]byte{cursorAttempted}, at.Request[:]...)
	if at.Request == uuid.Nil {
		raw = binary.BigEndian.AppendUint64([]byte{cursorUntried}, uint64(at.Webhook.CreatedAt.UnixNano()))
		raw = append(append(raw, at.Webhook.ID[:]...), at.Untried...)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// decodeDeliveryCursor gives the place of a cursor; false if it is none.
func decodeDeliveryCursor(value string) (at delivery.DeliveryPlace, ok bool) {
	const head = 1 + 8 + len(uuid.UUID{})
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	switch {
	case err != nil:
		return at, false
	case len(raw) == 1+len(uuid.UUID{}) && raw[0] == cursorAttempted:
		at.Request = uuid.UUID(raw[1:])
	case len(raw) >= head && len(raw) <= head+64 && raw[0] == cursorUntried:
		at.Webhook.CreatedAt = time.Unix(0, int64(binary.BigEndian.Uint64(raw[1:]))).UTC()
		at.Webhook.ID, at.Untried = uuid.UUID(raw[9:head]), string(raw[head:])
	}
	return at, at != delivery.DeliveryPlace{} && encodeDeliveryCursor(at) == value // the decoder passes over line breaks
}
