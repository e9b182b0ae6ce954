package delivery_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// TestReplayFair has far more deliveries to replay than are noted at a time, the first of them to a
// webhook with a low rate and to one that hangs. Those to another webhook do not wait for them. In the
// end each was sent once, although another process has gone on meanwhile.
func TestReplayFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		endpoints := newEndpoints(status(500))
		first := run(t, store, endpoints, once)
		first.failed(1000, "https://well.example")
		well := first.onlyWebhook()
		_, err := first.ChangeWebhook(t.Context(), well.Ref(), func(w *delivery.Webhook) { w.Enabled = false })
		if err != nil {
			t.Fatal(err)
		}
		first.failed(1000, "https://hangs.example", "https://rated.example")
		for _, w := range first.pages(10, nil) {
			if _, err := first.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) {
				if w.Enabled = true; w.URL == "https://rated.example" {
					w.RateLimit = &delivery.RateLimit{Requests: 1, Per: time.Minute}
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		endpoints.answerWith(func(ctx context.Context, m sender.Message) sender.Response {
			if m.URL != "https://hangs.example" {
				return ok(ctx, m)
			}
			answer := hang(ctx, m)
			if ctx.Err() != nil {
				answer.Failure = sender.Interrupted
			}
			return answer
		})
		before := len(endpoints.to("https://well.example"))
		started, err := first.StartReplay(t.Context(), tenant, allFailed)
		if err != nil || started.Total != 3000 {
			t.Fatalf("%+v, %v", started, err)
		}
		time.Sleep(time.Minute)
		if n := len(endpoints.to("https://well.example")) - before; n != 1000 {
			t.Errorf("%d requests went to the webhook that answers, want 1000", n)
		}
		first.stop()
		endpoints.answerWith(ok)
		second := run(t, flaky.On(store.Store), endpoints, once)
		defer second.stop()
		for _, w := range second.pages(10, nil) {
			if _, err := second.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.RateLimit = nil }); err != nil {
				t.Fatal(err)
			}
		}
		got := second.replayEnds(started.ID)
		second.wantReplayedOnce(3000)
		if got.Done != 3000 || got.Succeeded+got.Failed != 3000 || got.State != delivery.ReplayDone {
			t.Errorf("the replay is %+v", got)
		}
	})
}

// wantReplayedOnce checks that so many deliveries were replayed, each by one request, apart from those
// that were broken off.
func (r *running) wantReplayedOnce(want int) {
	r.t.Helper()
	rows := make(map[[2]uuid.UUID]int)
	for _, row := range r.replays() {
		if row.Error != sender.Interrupted {
			rows[[2]uuid.UUID{row.WebhookID, row.EventID}]++
		}
	}
	for delivery, n := range rows {
		if n > 1 {
			r.t.Fatalf("the delivery %v was sent %d times", delivery, n)
		}
	}
	if len(rows) != want {
		r.t.Errorf("%d deliveries were sent, want %d", len(rows), want)
	}
}

// TestReplayPaceIsShared has a tenant replay to many webhooks that have no slot free. What waits for
// one takes nothing of the pace at which the replay of another tenant goes on.
func TestReplayPaceIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const busy = "busy"
		endpoints := newEndpoints(status(500))
		r := run(t, flaky.New(), endpoints, once)
		defer r.stop()
		r.ReplayAtMost(100)
		emitBusy := func(n int) {
			events := make([]delivery.NewEvent, n)
			for i := range events {
				events[i] = delivery.NewEvent{Type: "alert_active", Data: []byte(`{}`)}
			}
			if _, err := r.Emit(t.Context(), busy, events); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			if _, err := r.CreateWebhook(t.Context(), delivery.Webhook{
				Tenant: busy, URL: "https://hangs.example", Enabled: true, EventTypes: []string{delivery.AllEventTypes}, Concurrency: 1,
			}); err != nil {
				t.Fatal(err)
			}
		}
		emitBusy(20)
		r.failed(300, "https://well.example")
		endpoints.answerWith(func(ctx context.Context, m sender.Message) sender.Response {
			if m.URL == "https://hangs.example" {
				return hang(ctx, m)
			}
			return ok(ctx, m)
		})
		emitBusy(20)
		if _, err := r.StartReplay(t.Context(), busy, allFailed); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		started, err := r.StartReplay(t.Context(), tenant, allFailed)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // 300 at 100 a second
		if got, err := r.Replay(t.Context(), tenant, started.ID); err != nil {
			t.Error(err)
		} else if got.Succeeded != 300 {
			t.Errorf("%d have succeeded, want 300", got.Succeeded)
		}
	})
}
