package caddymodule

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// gatewayEvent is an event of the traffic on its way to the store.
type gatewayEvent struct {
	tenant string
	event  delivery.NewEvent // without its data
	// The data are made of a body, which may be encoded.
	body     []byte
	encoding string
	maxSize  int64
	ofCaddy  bool  // of the type of one of Caddy's events
	memory   int64 // bytes of the gateway's
	// take takes more of the gateway's memory for the event, while its client waits. It is nil for those
	// that wait in the queue, of which few are decoded at a time.
	take func(bytes int64) bool
}

// eventWeight is what an event takes in memory beside its body.
const eventWeight = 512

// data are the event's data, of bytes that may be those of the body. Wrapped says that the body
// is no JSON object. The data may not be emitted if there is an outcome.
func (g *gatewayEvent) data() (data []byte, wrapped bool, refused outcome, err error) {
	body, err := decodeBody(g.body, g.encoding, g.maxSize, g.take)
	switch {
	case errors.Is(err, errDecodedTooLarge):
		return nil, false, outcomeTooLarge, err
	case errors.Is(err, errQueueFull):
		return nil, false, outcomeNotStored, err
	case err != nil:
		return nil, false, outcomeInvalid, err
	case len(body) == 0:
		return []byte("{}"), false, "", nil
	}
	if data, ok := api.AsData(body); ok {
		return data, false, "", nil
	}
	data = api.BodyAsData(body)
	if g.take != nil && !g.take(int64(len(data))) {
		return nil, false, outcomeNotStored, errQueueFull
	}
	return data, true, "", nil
}

// prepare makes what is emitted, and says how the event ends if it is stored. If it cannot be
// emitted, that outcome comes with the reason.
func (g *gatewayEvent) prepare(ctx context.Context, a *api.API) (delivery.NewEvent, outcome, error) {
	ev := g.event
	data, wrapped, refused, err := g.data()
	if err != nil {
		return ev, refused, err
	}
	ev.Data = data
	if err := a.EventTypes.CheckType(ev.Type); err != nil && !g.ofCaddy {
		return ev, outcomeUnknownType, err
	}
	switch err := a.CheckEvent(ctx, g.tenant, &ev); {
	case errors.Is(err, api.ErrEventTooLarge):
		return ev, outcomeTooLarge, err
	case err != nil:
		return ev, outcomeInvalid, err
	case wrapped:
		return ev, outcomeNotJSON, nil
	default:
		return ev, outcomeEmitted, nil
	}
}

// eventID is the id that a text names. The same text of the same tenant gives the same id, so
// that what is emitted again with it is a duplicate; an empty one gives a new id each time.
func eventID(tenant, text string, now time.Time) uuid.UUID {
	if text = strings.TrimSpace(text); text == "" {
		return delivery.NewID(now)
	}
	if len(text) == 36 {
		if id, err := uuid.Parse(text); err == nil && id != uuid.Nil {
			return id
		}
	}
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(tenant+"/"+text))
}
