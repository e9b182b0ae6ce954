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
}

// eventWeight is what an event takes in memory beside its body.
const eventWeight = 512

// data are the event's data, of bytes that may be those of the body. Wrapped says that the body
// is no JSON object. The data may not be emitted if there is an outcome.
func (g *gatewayEvent) data() (data []byte, wrapped bool, refused outcome, err error) {
	body, err := decodeBody(g.body, g.encoding, g.maxSize)
	switch {
	case errors.Is(err, errDecodedTooLarge):
		return nil, false, outcomeTooLarge, err
	case err != nil:
		return nil, false, outcomeInvalid, err
	case len(body) == 0:
		return []byte("{}"), false, "", nil
	}
	if data, ok := api.AsData(body); ok {
		return data, false, "", nil
	}
	return api.BodyAsData(body), true, "", nil
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
