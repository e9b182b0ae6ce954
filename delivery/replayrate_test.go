package delivery_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// rated has a webhook with deliveries that have failed, and gives it a rate.
func (r *running) rated(failed, requests int, per time.Duration) *delivery.Webhook {
	r.t.Helper()
	r.failed(failed, "https://a.example")
	w := r.onlyWebhook()
	r.rate(w, requests, per)
	r.sender.answerWith(ok)
	return w
}

func (r *running) rate(w *delivery.Webhook, requests int, per time.Duration) {
	r.t.Helper()
	if _, err := r.ChangeWebhook(r.t.Context(), w.Ref(), func(w *delivery.Webhook) {
		w.RateLimit = &delivery.RateLimit{Requests: requests, Per: per}
	}); err != nil {
		r.t.Fatal(err)
	}
}

// TestReplayBehindRate has a replay take only starts that nothing on the schedule is there for.
func TestReplayBehindRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), once)
		defer r.stop()
		r.rated(30, 1, 2*time.Second)
		started, err := r.StartReplay(t.Context(), tenant, allFailed)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if n := len(r.replays()); n < 2 {
			t.Errorf("%d requests of the replay, want 2 at least", n)
		}
		r.emit(10)
		time.Sleep(22 * time.Second) // a start may have been taken before
		sent := 0
		for _, row := range r.log() {
			if row.Status == delivery.RequestSuccess && row.Trigger == delivery.TriggerEvent {
				sent++
			}
		}
		if sent != 10 {
			t.Errorf("%d events were sent while a replay ran, want 10", sent)
		}
		r.wantCounts("behind", r.replayEnds(started.ID), 30, 30, 0)
	})
}

// TestReplayFollowsRate has a replay that waits for a start notice that there is a higher rate, or
// that nothing is sent to the webhook any more.
func TestReplayFollowsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), once)
		defer r.stop()
		w := r.rated(30, 1, 24*time.Hour)
		started, err := r.StartReplay(t.Context(), tenant, allFailed)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.rate(w, 1, time.Second)
		time.Sleep(20 * time.Second)
		if n := len(r.replays()); n < 10 || n > 22 {
			t.Errorf("%d requests 20 s after the rate is one a second", n)
		}
		r.rate(w, 1, 24*time.Hour)
		time.Sleep(time.Minute)
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
			t.Fatal(err)
		}
		if got := r.replayEnds(started.ID); got.Done != 30 || got.Failed != 0 || got.Succeeded > 23 {
			t.Errorf("once the webhook is disabled: %+v", got)
		}
	})
}
