package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// flakyEndpoint fails each event at the first attempt.
type flakyEndpoint struct {
	mu    sync.Mutex
	tried map[uuid.UUID]int
}

func (e *flakyEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		ID uuid.UUID `json:"event_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tried[event.ID]++; e.tried[event.ID] == 1 {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// attempts is how often an event was sent.
func (e *flakyEndpoint) attempts(id uuid.UUID) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.tried[id]
}

// engineOn is an engine on a store in Redis.
type engineOn struct {
	*delivery.Engine
	t        *testing.T
	endpoint *flakyEndpoint
	url      string
}

func runEngine(t *testing.T, s *Store) *engineOn {
	t.Helper()
	endpoint := &flakyEndpoint{tried: make(map[uuid.UUID]int)}
	receiver := httptest.NewServer(endpoint)
	t.Cleanup(receiver.Close)
	e := &engineOn{delivery.NewEngine(s), t, endpoint, receiver.URL}
	settings := delivery.DefaultSettings()
	settings.Destinations = sender.Destinations{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	settings.Retry = delivery.RetryPolicy{Attempts: 10, Delays: []time.Duration{100 * time.Millisecond}}
	detach := e.Attach(settings, zap.NewNop())
	t.Cleanup(func() {
		detach()
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *engineOn) webhook(tenant string) {
	e.t.Helper()
	_, err := e.CreateWebhook(e.t.Context(), delivery.Webhook{
		Tenant: tenant, URL: e.url, Enabled: true, EventTypes: []string{delivery.AllEventTypes},
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// emit emits an event, and returns its id once it was sent for the first time.
func (e *engineOn) emit(tenant string) uuid.UUID {
	e.t.Helper()
	receipts, err := e.Emit(e.t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
	if err != nil {
		e.t.Fatal(err)
	}
	if receipts[0].Deliveries != 1 {
		e.t.Fatalf("the event of %s has %d deliveries", tenant, receipts[0].Deliveries)
	}
	e.sent(receipts[0].EventID, 1)
	return receipts[0].EventID
}

// sent waits until an event was sent so often.
func (e *engineOn) sent(id uuid.UUID, attempts int) {
	e.t.Helper()
	eventually(e.t, fmt.Sprintf("the event is sent %d times", attempts), func() error {
		if n := e.endpoint.attempts(id); n < attempts {
			return fmt.Errorf("it was sent %d times", n)
		}
		return nil
	})
}

// TestPoisonUnderEngine damages keys while an engine uses them: retries of another tenant go
// on, pages are served, and the tenant itself goes on with new events.
func TestPoisonUnderEngine(t *testing.T) {
	t.Parallel()
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &life{driver: &driver{T: t, s: New(options())}}
			e := runEngine(t, l.s) // which opens and closes the store
			e.webhook(otherTenant)
			e.webhook(testTenant)
			for _, kind := range kinds {
				harmed, other := e.emit(testTenant), e.emit(otherTenant)
				for _, key := range l.keysOf(kind) {
					damage(t.Context(), l.s.client().(*redis.Client), key)
				}
				if kind == "webhooks" {
					e.webhook(testTenant)
				}
				more := []uuid.UUID{e.emit(testTenant), e.emit(otherTenant)}
				if kind != "events" { // where the other tenant's event was damaged, too
					more = append(more, other)
				}
				for _, id := range more {
					e.sent(id, 2)
				}
				for _, tenant := range []string{testTenant, otherTenant} {
					if _, err := e.Requests(t.Context(), tenant, delivery.RequestFilter{Limit: 50}); err != nil {
						t.Errorf("%s: the page of %s: %v", kind, tenant, err)
					}
				}
				if _, _, err := e.Event(t.Context(), testTenant, harmed); err != nil && !errors.Is(err, delivery.ErrNotFound) {
					t.Errorf("%s: an event: %v", kind, err)
				}
			}
			if err := e.Health(t.Context()); err != nil {
				t.Errorf("health: %v", err)
			}
		})
	}
}
