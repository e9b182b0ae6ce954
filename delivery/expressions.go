package delivery

import (
	"bytes"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
)

// ExampleEvent is an event that is stored nowhere, as it would be if it were accepted now.
func ExampleEvent(tenant string, ev NewEvent, now time.Time) *Event {
	return newEvent(tenant, &newEmission(now, tenant, []NewEvent{ev}).call.Events[0], now)
}

// Input is the event as expressions see it. It refers to the payload.
func (e *Event) Input() *expression.Input {
	return expression.NewInput(expression.Event{
		Type: e.Type, ID: e.ID.String(), Tenant: e.Tenant, OccurredAt: e.OccurredAt, Data: e.Data(),
	})
}

// Data are the event's data, as its emitter sent them: a part of the payload.
func (e *Event) Data() []byte { return dataOf(e.Payload) }

// beforeData is in an envelope for the first time where its data begin: in the type, quotation
// marks are escaped.
var beforeData = []byte(`,"data":`)

// dataOf are the data in an envelope.
func dataOf(payload []byte) []byte {
	_, data, _ := bytes.Cut(payload, beforeData)
	return bytes.TrimSuffix(data, []byte("}"))
}
