package delivery_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// missed is a replay of all that a webhook has missed.
func missed(w *delivery.Webhook) delivery.ReplayFilter {
	return delivery.ReplayFilter{Status: delivery.ReplayMissed, WebhookID: w.ID}
}

func (r *running) wantMissed(what string, f delivery.ReplayFilter, want int64) {
	r.t.Helper()
	if n, err := r.CountReplay(r.t.Context(), tenant, f); err != nil || n != want {
		r.t.Errorf("%s: counted %d, %v, want %d", what, n, err, want)
	}
}

// TestReplayMissed sends a webhook what it wants now, by its types and its filter, and has no delivery of:
// each event once.
func TestReplayMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), once)
		defer r.stop()
		r.webhook("https://other.example")
		before, err := r.emitData(`{"n":1}`, `{"n":2}`, `{"n":3}`, `{"n":4}`)
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "alert_over", Data: []byte(`{"n":9}`)}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		created := r.store.Now()
		w, err := r.CreateWebhook(t.Context(), delivery.Webhook{
			Tenant: tenant, URL: "https://late.example", Enabled: true, EventTypes: []string{"alert_active"}, Filter: "data.n > 1",
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte(`{"n":7}`)}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.emitData(`{"n":5}`); err != nil {
			t.Fatal(err)
		}
		if err := r.EraseEvent(t.Context(), tenant, before[3].EventID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.wantMissed("two events", missed(w), 2)
		for what, bounds := range map[string][2]time.Time{"since": {created, {}}, "until": {{}, created.Add(-time.Hour)}} {
			f := missed(w)
			f.Since, f.Until = bounds[0], bounds[1]
			r.wantMissed(what, f, 0)
		}
		of := missed(w)
		of.EventType = "alert_over"
		r.wantMissed("a type that it does not want", of, 0)
		r.wantMissed("no webhook", missed(&delivery.Webhook{ID: uuid.New()}), 0)

		r.sender.answerWith(status(500))
		r.wantCounts("which fails", r.replay(missed(w)), 2, 0, 2)
		r.sender.answerWith(ok)
		r.wantMissed("once they were sent", missed(w), 0)
		r.wantCounts("what has failed", r.replay(delivery.ReplayFilter{Status: delivery.ReplayFailed}), 2, 2, 0)
		sent := make(map[uuid.UUID]int)
		for _, row := range r.replays() {
			if sent[row.EventID]++; row.WebhookID != w.ID || row.Attempt != 0 {
				t.Errorf("the request is %+v", row)
			}
		}
		if len(sent) != 2 || sent[before[1].EventID] != 2 || sent[before[2].EventID] != 2 {
			t.Errorf("sent %v", sent)
		}
		_, deliveries, err := r.Event(t.Context(), tenant, before[1].EventID)
		if err != nil || len(deliveries) != 2 || deliveries[0].Status != delivery.DeliverySuccess || deliveries[1].Status != delivery.DeliverySuccess {
			t.Errorf("the deliveries are %+v, %v", deliveries, err)
		}
	})
}

// TestReplayMissedAgain sends what a replay before it has added, and has not sent; and what was added by
// a try whose answer was lost.
func TestReplayMissedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		r := run(t, store, newEndpoints(ok), once)
		defer r.stop()
		events := r.emit(5)
		w := r.webhook("https://late.example")
		for _, e := range events[:2] {
			if _, added, err := store.Store.AddDelivery(t.Context(), w.Ref(), e.EventID); err != nil || !added {
				t.Fatal(added, err)
			}
		}
		page, err := r.Deliveries(t.Context(), tenant, delivery.DeliveryFilter{Limit: 10})
		if err != nil || len(page.Deliveries) != 0 {
			t.Errorf("the list has %+v, %v", page.Deliveries, err)
		}
		time.Sleep(time.Second) // a replay is about what was received before it
		r.wantMissed("with two that were added", missed(w), 5)
		r.wantCounts("all", r.replay(missed(w)), 5, 5, 0)
		disabled := r.webhook("https://disabled.example")
		if _, err := r.ChangeWebhook(t.Context(), disabled.Ref(), func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
			t.Fatal(err)
		}
		r.wantCounts("of a disabled webhook", r.replay(missed(disabled)), 5, 0, 0)
		_, deliveries, err := r.Event(t.Context(), tenant, events[0].EventID)
		if err != nil || len(deliveries) != 1 {
			t.Errorf("the deliveries are %+v, %v", deliveries, err)
		}
	})
}

// TestReplayMissedTakenOver kills the process that works off a replay of what was missed, with deliveries
// added and in flight. Another one goes on, and sends nothing again but what was in flight.
func TestReplayMissedTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		sent := make(map[string]int)
		endpoints := newEndpoints(func(_ context.Context, m sender.Message) sender.Response {
			mu.Lock()
			sent[string(m.Body)]++
			mu.Unlock()
			time.Sleep(50 * time.Millisecond)
			return sender.Response{StatusCode: 200}
		})
		store := flaky.New()
		first := run(t, store, endpoints, once)
		for range 10 {
			first.emit(100)
		}
		w := first.webhook("https://late.example")
		time.Sleep(time.Second)
		started, err := first.StartReplay(t.Context(), tenant, missed(w))
		if err != nil || started.Total != 1000 {
			t.Fatalf("%+v, %v", started, err)
		}
		time.Sleep(2500 * time.Millisecond)
		second := run(t, flaky.On(store.Store), endpoints, once)
		defer second.stop()
		store.Fail(func(string) error { return delivery.ErrUnavailable })
		time.Sleep(time.Second)
		killed, cancel := context.WithCancel(t.Context())
		cancel()
		first.detach()
		_ = first.Close(killed)
		second.wantCounts("taken over", second.replayEnds(started.ID), 1000, 1000, 0)
		again := 0
		for _, n := range sent {
			again += n - 1
		}
		if rows := second.replays(); len(rows) != 1000 || len(sent) != 1000 || again > delivery.DefaultSettings().ConcurrencyPerWebhook/4 {
			t.Errorf("%d rows, %d events were sent, %d of them again", len(rows), len(sent), again)
		}
	})
}
