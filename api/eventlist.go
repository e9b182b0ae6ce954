package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// listedEvent is an event as lists have it.
type listedEvent struct {
	EventID    uuid.UUID `json:"event_id"`
	EventType  string    `json:"event_type"`
	OccurredAt time.Time `json:"occurred_at"`
	ReceivedAt time.Time `json:"received_at"`
	Deliveries int       `json:"deliveries"`
}

type eventList struct {
	Data       []listedEvent `json:"data"`
	NextCursor *string       `json:"next_cursor"`
}

var eventParameters = []string{"event_type", "since", "until", "limit", "cursor"}

// listEvents handles GET /api/events.
func listEvents(ctx context.Context, c *call) (response, error) {
	filter, err := eventFilterOf(c.query)
	if err != nil {
		return response{}, err
	}
	page, err := c.api.Engine.Events(ctx, c.Tenant, filter)
	if errors.Is(err, delivery.ErrUnknownPlace) {
		return response{}, badParameter("cursor", noCursor)
	}
	if err != nil {
		return response{}, err
	}
	list := eventList{Data: make([]listedEvent, len(page.Events))}
	for i := range page.Events {
		e := &page.Events[i]
		list.Data[i] = listedEvent{e.ID, e.Type, e.OccurredAt, e.ReceivedAt, e.Deliveries}
	}
	if page.Next != "" {
		list.NextCursor = new(encodeEventCursor(page.Next))
	}
	return response{status: http.StatusOK, body: list}, nil
}

// eventFilterOf reads a query, in the words of that of requests.
func eventFilterOf(query url.Values) (f delivery.EventFilter, err error) {
	common := url.Values{}
	for name, values := range query {
		if name != "cursor" {
			common[name] = values
			continue
		}
		var ok bool
		if f.After, ok = decodeEventCursor(values[0]); !ok {
			return f, badParameter(name, noCursor)
		}
	}
	r, _, err := filterOf(common)
	f.EventType, f.Since, f.Until, f.Limit = r.EventType, r.Since, r.Until, r.Limit
	return f, err
}

const noCursor = "This is not a cursor: use the next_cursor of a page."

// cursorEvent is the first byte of a cursor of events; a place in the list follows.
const cursorEvent = 6

func encodeEventCursor(place string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{cursorEvent}, place...))
}

// decodeEventCursor gives the place of a cursor; false if it is none.
func decodeEventCursor(value string) (place string, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) < 2 || len(raw) > 1+64 || raw[0] != cursorEvent {
		return "", false
	}
	place = string(raw[1:])
	return place, encodeEventCursor(place) == value // the decoder passes over line breaks
}
