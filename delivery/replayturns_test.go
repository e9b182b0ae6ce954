package delivery_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// TestReplayMakesRoom has more tenants replay than there are places, all but one of them something that
// takes long: that one waits for a while, and not for them.
func TestReplayMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), once)
		defer r.stop()
		const tenants = 20
		last := ""
		for i := range tenants {
			last = fmt.Sprint("t", i)
			w := delivery.Webhook{Tenant: last, URL: "https://a.example", Enabled: true, EventTypes: []string{delivery.AllEventTypes}}
			made, err := r.CreateWebhook(t.Context(), w)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := r.Emit(t.Context(), last, []delivery.NewEvent{{Type: "alert_active", Data: []byte(`{}`)}}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
			if i < tenants-1 {
				if _, err := r.ChangeWebhook(t.Context(), made.Ref(), func(w *delivery.Webhook) {
					w.RateLimit = &delivery.RateLimit{Requests: 1, Per: 15 * time.Minute}
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.sender.answerWith(ok)
		var started *delivery.Replay
		for i := range tenants {
			var err error
			if started, err = r.StartReplay(t.Context(), fmt.Sprint("t", i), allFailed); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		if got, err := r.Replay(t.Context(), last, started.ID); err != nil || got.State != delivery.ReplayDone || got.Succeeded != 3 {
			t.Errorf("after five minutes: %+v, %v", got, err)
		}
		time.Sleep(time.Hour)
		for i := range tenants {
			all, err := r.Replays(t.Context(), fmt.Sprint("t", i))
			if err != nil || len(all) != 1 || all[0].State != delivery.ReplayDone || all[0].Succeeded != 3 {
				t.Errorf("in the end: %+v, %v", all, err)
			}
		}
	})
}

// TestReplayLeaseEnds cannot save a replay while the rest of the store works. Another process goes
// on: nothing that waited here is sent any more, and the counts are those of the log.
func TestReplayLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		first := run(t, store, newEndpoints(status(500)), once)
		defer first.stop()
		first.rated(20, 1, 5*time.Second)
		started, err := first.StartReplay(t.Context(), tenant, allFailed)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(12 * time.Second)
		store.Fail(func(op string) error {
			if op == "SaveReplay" || op == "ClaimReplays" {
				return delivery.ErrUnavailable
			}
			return nil
		})
		second := run(t, flaky.On(store.Store), first.sender, once)
		defer second.stop()
		second.wantCounts("in the end", second.replayEnds(started.ID), 20, 20, 0)
		rows := make(map[uuid.UUID]int)
		for _, row := range second.replays() {
			rows[row.EventID]++
		}
		for event, n := range rows {
			if n > 1 {
				t.Errorf("event %s was sent %d times", event, n)
			}
		}
	})
}
