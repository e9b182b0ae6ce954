package caddymodule

import (
	"testing"

	"go.uber.org/zap"
)

// TestOutcomesAfterStop: what the log was told before a stop does not keep it from being told after.
func TestOutcomesAfterStop(t *testing.T) {
	q, a := newGatewayQueue(), &App{log: zap.NewNop()}
	q.use(a)
	if n := q.outcomes.due(outcomeDropped) + q.outcomes.due(outcomeDropped); n != 1 {
		t.Errorf("the log is told of %d events", n)
	}
	q.leave(a)
	q.use(a)
	defer q.leave(a)
	if n := q.outcomes.due(outcomeDropped); n != 1 {
		t.Errorf("after a stop the log is told of %d events", n)
	}
}

// TestEmitNowPanics gives the memory of an event back also when a panic ends it.
func TestEmitNowPanics(t *testing.T) {
	q := newGatewayQueue()
	if !q.reserve(5) {
		t.Fatal("there is no memory")
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = q.emitNow(t.Context(), nil, &gatewayEvent{memory: 5})
	}()
	if n := q.reserved.Load(); n != 0 {
		t.Errorf("%d bytes are reserved", n)
	}
}
