package delivery_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

const tenant = "default"

// running is an engine with a store in memory, attached and under the test's clock.
type running struct {
	*delivery.Engine
	t      *testing.T
	store  *flaky.Store
	sender *endpoints
	detach func()
}

var nopLog = zap.NewNop()

func run(t *testing.T, store *flaky.Store, sender *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	return runOn(t, store, store, sender, change...)
}

// runOn runs an engine on front, a store that wraps the one in memory.
func runOn(t *testing.T, front delivery.Store, store *flaky.Store, sender *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	return runEngine(t, delivery.NewEngine(front), store, sender, change...)
}

func runEngine(t *testing.T, engine *delivery.Engine, store *flaky.Store, sender *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	s := delivery.DefaultSettings()
	for _, c := range change {
		c(&s)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	r := &running{Engine: engine, t: t, store: store, sender: sender}
	r.SendWith(sender)
	r.detach = r.Attach(s, nopLog)
	synctest.Wait()
	return r
}

func (r *running) stop() {
	r.t.Helper()
	r.detach()
	if err := r.Close(r.t.Context()); err != nil {
		r.t.Error(err)
	}
}

func (r *running) webhook(url string) *delivery.Webhook {
	r.t.Helper()
	w, err := r.CreateWebhook(r.t.Context(), delivery.Webhook{
		Tenant: tenant, URL: url, Enabled: true, EventTypes: []string{delivery.AllEventTypes},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *running) onlyWebhook() *delivery.Webhook {
	r.t.Helper()
	all := r.pages(2, nil)
	if len(all) != 1 {
		r.t.Fatalf("%d webhooks", len(all))
	}
	return all[0]
}

func (r *running) emit(n int) []delivery.Receipt {
	r.t.Helper()
	events := make([]delivery.NewEvent, n)
	for i := range events {
		events[i] = delivery.NewEvent{Type: "alert_active", Data: []byte(`{}`)}
	}
	receipts, err := r.Emit(r.t.Context(), tenant, events)
	if err != nil {
		r.t.Fatal(err)
	}
	return receipts
}

// log reads the whole log, oldest first.
func (r *running) log() []delivery.Request {
	r.t.Helper()
	page, err := r.Requests(r.t.Context(), tenant, delivery.RequestFilter{Limit: 100_000})
	if err != nil {
		r.t.Fatal(err)
	}
	rows := page.Requests
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows
}

func (r *running) delivery(event uuid.UUID) delivery.Delivery {
	r.t.Helper()
	_, deliveries, err := r.Event(r.t.Context(), tenant, event)
	if err != nil || len(deliveries) != 1 {
		r.t.Fatalf("event %s: %d deliveries, %v", event, len(deliveries), err)
	}
	return deliveries[0]
}
