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
	events, ok := c.scratch.plainEvents(c.body, c.api.EventTypes, c.api.MaxEventSize)
	if !ok {
		var err error
		if events, err = c.readEvents(); err != nil {
			return response{}, err
		}
	}
	c.events = len(events)
	receipts, err := c.api.Engine.Emit(ctx, c.Tenant, events)
	if err != nil {
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
		inputs, err = decodeEvents(c.body, c.api.MaxEventSize)
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

// decodeEvents reads an array of events. In the usual case the body is gone over
// once; only when something is wrong is it looked for what comes first.
func decodeEvents(body []byte, maxEventSize int64) ([]eventInput, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body))
	_, err := dec.ReadToken()
	var inputs []eventInput
	large := false // perhaps: the comma and space before an event count too
	for err == nil && dec.PeekKind() != jsontext.KindEndArray {
		if len(inputs) == maxEvents {
			err = errTooManyEvents
			break
		}
		inputs = append(inputs, eventInput{})
		before := dec.InputOffset()
		err = json.UnmarshalDecode(dec, &inputs[len(inputs)-1], strict)
		large = large || dec.InputOffset()-before > maxEventSize
	}
	if err == nil {
		_, err = dec.ReadToken()
	}
	if err == nil && !large && onlySpace(body[dec.InputOffset():]) {
		return checkCount(inputs)
	}
	if err := checkElements(body, maxEventSize); err != nil {
		return nil, err
	}
	switch {
	case errors.Is(err, errTooManyEvents):
		return nil, invalid(fieldError{"", fmt.Sprintf("A call may emit at most %d events: emit the rest in further calls.", maxEvents)})
	case err != nil: // and it is JSON, as checkElements has found
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

// checkElements looks for an element that is larger than an event may be, and for
// what is not JSON.
func checkElements(body []byte, maxEventSize int64) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	_, err := dec.ReadToken()
	for i := 0; err == nil && dec.PeekKind() != jsontext.KindEndArray; i++ {
		var element jsontext.Value
		if element, err = dec.ReadValue(); int64(len(element)) > maxEventSize {
			return eventTooLarge(maxEventSize, strconv.Itoa(i))
		}
	}
	if p := syntaxProblem(body); p != nil {
		return p
	}
	return nil
}

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
