package embedded

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// An event that is new is stored without a look for its id. Whoever comes with that id later
// finds it: the same call made again, and an emitter that chooses it.
func TestAcceptNew(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	call := load.Call(1, true)
	accept := func(is bool) delivery.AcceptedEvent {
		t.Helper()
		call.Events[0].New = is
		result := s.Accept(t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Minute, Retention: time.Hour})[0]
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		return result.Events[0]
	}
	if got, want := accept(true), (delivery.AcceptedEvent{Deliveries: 1}); got != want {
		t.Errorf("at first %+v, want %+v", got, want)
	}
	if got, want := accept(false), (delivery.AcceptedEvent{Repeated: true, Deliveries: 1}); got != want {
		t.Errorf("made again %+v, want %+v", got, want)
	}
	call.Nonce = uuid.New()
	if got, want := accept(false), (delivery.AcceptedEvent{Duplicate: true}); got != want {
		t.Errorf("by another call %+v, want %+v", got, want)
	}
}
