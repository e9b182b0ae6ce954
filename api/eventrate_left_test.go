package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/memory"
)

// heldStore is a store whose Accepts wait.
type heldStore struct {
	delivery.Store
	entered, released chan struct{}
}

func (s *heldStore) Accept(ctx context.Context, batch delivery.AcceptBatch) []delivery.Accepted {
	select {
	case s.entered <- struct{}{}:
	default:
	}
	<-s.released
	return s.Store.Accept(ctx, batch)
}

// TestEventRateOfImpatient emits without waiting for the answer: the events are stored, and count.
func TestEventRateOfImpatient(t *testing.T) {
	store := &heldStore{memory.New(), make(chan struct{}, 1), make(chan struct{})}
	engine := delivery.NewEngine(store)
	detach := engine.Attach(delivery.DefaultSettings(), zap.NewNop())
	t.Cleanup(func() {
		detach()
		if err := engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	types, err := NewEventTypes(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := New(Backend{
		Engine: engine, EventTypes: types, MaxEventSize: 1 << 20, Log: zap.NewNop(), InForce: t.Context(),
		Limits: TenantLimits{Events: 1, EventsPer: time.Hour},
	})
	emit := func(ctx context.Context, tenant string) int {
		defer func() { _ = recover() }() // nobody is there to be answered
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/events", strings.NewReader(`{"event_type":"alert_active","data":{}}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if err := a.Serve(w, r, Caller{Role: Emitter, Tenant: tenant, Serving: t.Context()}); err != nil {
			t.Error(err)
		}
		return w.Code
	}
	var other sync.WaitGroup
	other.Go(func() { emit(t.Context(), "other") })
	<-store.entered // the next one joins those that wait for it
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	emit(impatient, "t")
	close(store.released)
	if status := emit(t.Context(), "t"); status != http.StatusTooManyRequests {
		t.Errorf("a second event was answered with %d", status)
	}
	other.Wait()
}
