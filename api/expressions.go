package api

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
)

// expressionInput is an expression to try, and the event to try it on.
type expressionInput struct {
	Filter    optional[string]     `json:"filter"`
	OrderBy   optional[string]     `json:"order_by"`
	Transform optional[string]     `json:"transform"`
	EventID   optional[string]     `json:"event_id"`
	Event     optional[eventInput] `json:"event"`
}

// expressionResult is what an expression gives.
type expressionResult struct {
	Result jsontext.Value `json:"result"`
}

// tryExpression handles POST /api/expressions.
func tryExpression(ctx context.Context, c *call) (response, error) {
	var in expressionInput
	if err := decode(c.body, &in); err != nil {
		return response{}, err
	}
	var errs fieldErrors
	var kind expression.Kind
	var program *expression.Program
	if err := c.inTurn(ctx, func() { kind, program = in.compile(&errs) }); err != nil {
		return response{}, err
	}
	id, ev := in.event(c, &errs)
	if err := errs.problem(); err != nil {
		return response{}, err
	}
	if in.EventID.Set {
		var err error
		if ev, _, err = c.api.Engine.Event(ctx, c.Tenant, id); err != nil {
			return response{}, notFound(err, "event")
		}
		if ev.Erased {
			return response{}, missing("event")
		}
	}
	var result []byte
	var err error
	if turn := c.inTurn(ctx, func() { result, err = program.JSON(ctx, ev.Input()) }); turn != nil {
		return response{}, turn
	}
	if err != nil {
		if ctx.Err() != nil {
			return response{}, err
		}
		return response{}, invalid(fieldError{kind.String(), sentence(err)})
	}
	return response{status: http.StatusOK, body: expressionResult{result}}, nil
}

// inTurn does something that keeps a processor busy, when it is the tenant's turn.
func (c *call) inTurn(ctx context.Context, do func()) error {
	leave, err := c.api.Engine.Turn(ctx, c.Tenant)
	if err != nil {
		return err
	}
	defer leave()
	do()
	return nil
}

// compile compiles the one expression that there must be.
func (in *expressionInput) compile(errs *fieldErrors) (kind expression.Kind, program *expression.Program) {
	given := 0
	for k, source := range []optional[string]{expression.Filter: in.Filter, expression.OrderBy: in.OrderBy, expression.Transform: in.Transform} {
		if !source.Set {
			continue
		}
		given++
		if kind = expression.Kind(k); errs.given(kind.String(), true, source.Null) {
			var err error
			program, err = expression.Compile(kind, source.Value)
			errs.check(kind.String(), err)
		}
	}
	if given != 1 {
		errs.add("", "The body must have one of filter, transform and order_by.")
	}
	return kind, program
}

// event is the event that was given, or the id of a stored one.
func (in *expressionInput) event(c *call, errs *fieldErrors) (uuid.UUID, *delivery.Event) {
	if in.EventID.Set == in.Event.Set {
		errs.add("", "The body must have one of event_id, for a stored event, and event.")
		return uuid.Nil, nil
	}
	if in.EventID.Set {
		return checkEventID(in.EventID, errs), nil
	}
	if !errs.given("event", true, in.Event.Null) {
		return uuid.Nil, nil
	}
	inner := fieldErrors{prefix: "event."}
	given := in.Event.Value.check(c.api.EventTypes, &inner)
	errs.errs = append(errs.errs, inner.errs...)
	return uuid.Nil, delivery.ExampleEvent(c.Tenant, given, time.Now())
}

// checkEventID reads the id of a stored event.
func checkEventID(in optional[string], errs *fieldErrors) uuid.UUID {
	if !errs.given("event_id", in.Set, in.Null) {
		return uuid.Nil
	}
	id, ok := parseID(in.Value)
	if !ok {
		errs.add("event_id", "This must be a UUID of 36 characters.")
	}
	return id
}
