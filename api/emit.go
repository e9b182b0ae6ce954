package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// maxEvents is how many events one call may emit.
const maxEvents = 1000

// eventInput is an event as it is emitted.
type eventInput struct {
	EventType  optional[string]         `json:"event_type"`
	EventID    optional[string]         `json:"event_id"`
	OccurredAt optional[string]         `json:"occurred_at"`
	Data       optional[jsontext.Value] `json:"data"`
}

// emitEvents handles POST /api/events.
func emitEvents(ctx context.Context, c *call) (response, error) {
	if err := checkSizes(c.body, c.api.MaxEventSize); err != nil {
		return response{}, err
	}
	events, ok := c.scratch.plainEvents(c.body, c.api.EventTypes, c.api.MaxEventSize)
	if !ok {
		var err error
		if events, err = c.readEvents(); err != nil {
			return response{}, err
		}
	}
	c.events = len(events)
	if err := c.api.EventTypes.checkSchemas(ctx, c.api.Engine, c.Tenant, events, isArray(c.body)); err != nil {
		return response{}, err
	}
	if err := c.mayEmit(len(events), true); err != nil {
		return response{}, err
	}
	receipts, err := c.api.Engine.Emit(ctx, c.Tenant, events)
	if err != nil {
		c.takeBack(len(events), err)
		return response{}, err
	}
	return response{status: http.StatusAccepted, body: encodeReceipts(receipts, isArray(c.body))}, nil
}

// readEvents reads any body and says what is wrong with it.
func (c *call) readEvents() ([]delivery.NewEvent, error) {
	array := isArray(c.body)
	var inputs []eventInput
	var err error
	if array {
		inputs, err = decodeEvents(c.body)
	} else {
		inputs = make([]eventInput, 1)
		err = decode(c.body, &inputs[0])
	}
	if err != nil {
		return nil, err
	}
	c.events = len(inputs)
	events := make([]delivery.NewEvent, len(inputs))
	var errs fieldErrors
	for i := range inputs {
		if array {
			errs.prefix = strconv.Itoa(i) + "."
		}
		events[i] = inputs[i].check(c.api.EventTypes, &errs)
	}
	return events, errs.problem()
}

var errTooManyEvents = errors.New("too many events")

// decodeEvents reads an array of events, of which none is too large. In the usual case the
// body is gone over once; only when something is wrong is it looked for what comes first.
func decodeEvents(body []byte) ([]eventInput, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	_, err := dec.ReadToken()
	var inputs []eventInput
	for err == nil && dec.PeekKind() != jsontext.KindEndArray {
		if len(inputs) == maxEvents {
			err = errTooManyEvents
			break
		}
		inputs = append(inputs, eventInput{})
		err = json.UnmarshalDecode(dec, &inputs[len(inputs)-1], strict)
	}
	if err == nil {
		_, err = dec.ReadToken()
	}
	if err == nil && onlySpace(body[dec.InputOffset():]) {
		return checkCount(inputs)
	}
	if p := syntaxProblem(body); p != nil {
		return nil, p
	}
	switch {
	case errors.Is(err, errTooManyEvents):
		return nil, invalid(fieldError{"", fmt.Sprintf("A call may emit at most %d events: emit the rest in further calls.", maxEvents)})
	case err != nil: // and it is JSON
		return nil, invalid(decodeError(err))
	}
	return checkCount(inputs)
}

func checkCount(inputs []eventInput) ([]eventInput, error) {
	if len(inputs) == 0 {
		return nil, invalid(fieldError{"", "The array must contain at least one event."})
	}
	return inputs, nil
}

func onlySpace(b []byte) bool { return len(bytes.TrimLeft(b, jsonSpace)) == 0 }

// check turns the input into an event, and notes what is wrong with it.
func (in *eventInput) check(types *EventTypes, errs *fieldErrors) delivery.NewEvent {
	ev := delivery.NewEvent{Type: in.EventType.Value, Data: in.Data.Value}
	if errs.required("event_type", in.EventType.Set, in.EventType.Null) {
		errs.check("event_type", types.check(ev.Type))
	}
	if errs.required("data", in.Data.Set, in.Data.Null) && in.Data.Value.Kind() != jsontext.KindBeginObject {
		errs.add("data", "This must be an object.")
	}
	if errs.given("event_id", in.EventID.Set, in.EventID.Null) {
		var ok bool
		if ev.ID, ok = parseID(in.EventID.Value); !ok || ev.ID == uuid.Nil {
			errs.add("event_id", "This must be a UUID of 36 characters other than the nil UUID.")
		}
	}
	if errs.given("occurred_at", in.OccurredAt.Set, in.OccurredAt.Null) {
		var ok bool
		if ev.OccurredAt, ok = parseTime(in.OccurredAt.Value); !ok {
			errs.add("occurred_at", "This must be an RFC 3339 time, such as 2026-03-13T18:30:00Z.")
		}
	}
	return ev
}
