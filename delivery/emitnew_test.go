package delivery_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// newness notes which events each Accept calls new.
type newness struct {
	lossy
	mu    sync.Mutex
	calls [][]bool
}

func (n *newness) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	var all []bool
	for i := range batch.Calls {
		for j := range batch.Calls[i].Events {
			all = append(all, batch.Calls[i].Events[j].New)
		}
	}
	n.mu.Lock()
	n.calls = append(n.calls, all)
	n.mu.Unlock()
	return n.lossy.Accept(ctx, batch)
}

// Only an event whose id the engine has made is new, and only until it may be stored. An
// emitter may choose an id that the engine made before.
func TestNewEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &newness{lossy: lossy{Store: flaky.New(), carryOut: true}}
		r := runOn(t, store, store.Store, newEndpoints(ok))
		defer r.stop()
		emit := func(ids ...uuid.UUID) []delivery.Receipt {
			t.Helper()
			events := make([]delivery.NewEvent, len(ids))
			for i, id := range ids {
				events[i] = delivery.NewEvent{ID: id, Type: "a", Data: []byte(`{}`)}
			}
			receipts, err := r.Emit(t.Context(), tenant, events)
			if err != nil {
				t.Fatal(err)
			}
			return receipts
		}
		store.lose(2)
		first := emit(uuid.Nil, uuid.New())
		if again := emit(first[0].EventID, uuid.Nil); !again[0].Duplicate || again[1].Duplicate {
			t.Errorf("the receipts are %+v", again)
		}
		want := [][]bool{{true, false}, {false, false}, {false, false}, {false, true}}
		if !slices.EqualFunc(store.calls, want, slices.Equal) {
			t.Errorf("new are %v, want %v", store.calls, want)
		}
	})
}
