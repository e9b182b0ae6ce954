package delivery_test

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// once has deliveries fail for good at their first failure.
func once(s *delivery.Settings) { s.Retry.Attempts = 1 }

// replay starts a replay, and waits until it has ended.
func (r *running) replay(f delivery.ReplayFilter) delivery.Replay {
	r.t.Helper()
	started, err := r.StartReplay(r.t.Context(), tenant, f)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.replayEnds(started.ID)
}

func (r *running) replayEnds(id uuid.UUID) delivery.Replay {
	r.t.Helper()
	for range 1000 {
		time.Sleep(time.Second) // also so that the next replay is of what was sent before it
		now, err := r.Replay(r.t.Context(), tenant, id)
		if err == nil && now.State != delivery.ReplayRunning {
			return *now
		}
	}
	r.t.Fatal("the replay does not end")
	return delivery.Replay{}
}

func (r *running) wantCounts(what string, got delivery.Replay, total, succeeded, failed int64) {
	r.t.Helper()
	if got.State != delivery.ReplayDone || got.Total != total || got.Done != total || got.Succeeded != succeeded || got.Failed != failed || got.FinishedAt.IsZero() || len(got.Sending) > 0 {
		r.t.Errorf("%s: %+v, want %d in all, %d succeeded, %d failed", what, got, total, succeeded, failed)
	}
}

// replays are the rows that replays have sent.
func (r *running) replays() (rows []delivery.Request) {
	r.t.Helper()
	for _, row := range r.log() {
		if row.Trigger == delivery.TriggerReplay {
			rows = append(rows, row)
		}
	}
	return rows
}

// TestReplayStatus sends each delivery again, once, that stands as was asked.
func TestReplayStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), once)
		defer r.stop()
		since := r.store.Now()
		r.webhook("https://a.example")
		succeeded := r.emit(3)
		time.Sleep(time.Minute)
		r.sender.answerWith(status(500))
		failed := r.emit(7)
		time.Sleep(time.Minute)
		_, err := r.Rerun(t.Context(), tenant, r.lastOf(failed[0].EventID).ID) // which fails: it is its last request
		r.sender.answerWith(ok)
		_, err2 := r.Rerun(t.Context(), tenant, r.lastOf(failed[1].EventID).ID)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		r.sender.answerWith(status(500))
		if _, err = r.Rerun(t.Context(), tenant, r.lastOf(succeeded[0].EventID).ID); err != nil { // it stays a success
			t.Fatal(err)
		}
		r.sender.answerWith(ok)
		time.Sleep(time.Minute)
		for _, tt := range []struct {
			filter delivery.ReplayFilter
			want   int64
		}{
			{delivery.ReplayFilter{Status: delivery.ReplayAny}, 10},
			{delivery.ReplayFilter{Status: delivery.ReplaySuccess}, 4},
			{delivery.ReplayFilter{Status: delivery.ReplayFailed}, 6},
			{delivery.ReplayFilter{Status: delivery.ReplayFailed, EventType: "other"}, 0},
			{delivery.ReplayFilter{Status: delivery.ReplayFailed, WebhookID: uuid.New()}, 0},
			{delivery.ReplayFilter{Status: delivery.ReplayAny, Until: since.Add(time.Minute)}, 2},
			{delivery.ReplayFilter{Status: delivery.ReplayAny, Since: since.Add(30 * time.Second)}, 8},
		} {
			if tt.filter.Since.IsZero() {
				tt.filter.Since = since
			}
			if n, err := r.CountReplay(t.Context(), tenant, tt.filter); err != nil || n != tt.want {
				t.Errorf("%+v: counted %d, %v, want %d", tt.filter, n, err, tt.want)
			}
		}
		r.wantCounts("what failed", r.replay(delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: since}), 6, 6, 0)
		seen := make(map[uuid.UUID]bool)
		for _, row := range r.replays() {
			if row.Attempt != 0 || !row.NextAttemptAt.IsZero() || seen[row.EventID] {
				t.Errorf("the request is %+v", row)
			}
			seen[row.EventID] = true
		}
		if len(seen) != 6 || seen[failed[1].EventID] {
			t.Errorf("sent the events %v", seen)
		}
		r.wantCounts("nothing", r.replay(delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: since}), 0, 0, 0)
		r.sender.answerWith(status(500))
		r.wantCounts("all, which fails", r.replay(delivery.ReplayFilter{Status: delivery.ReplayAny, Since: since}), 10, 0, 10)
		time.Sleep(time.Hour) // nothing is retried
		if n := len(r.replays()); n != 16 {
			t.Errorf("%d requests were sent again", n)
		}
	})
}

// lastOf is the last request of an event.
func (r *running) lastOf(event uuid.UUID) delivery.Request {
	r.t.Helper()
	for _, row := range slices.Backward(r.log()) {
		if row.EventID == event {
			return row
		}
	}
	r.t.Fatal("the event has no request")
	return delivery.Request{}
}

// TestReplayMany sends more than a window of deliveries, and not more in a second than new events bear.
func TestReplayMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), once)
		defer r.stop()
		since := r.store.Now()
		for range 3 {
			r.webhook("https://a.example")
		}
		for range 10 {
			r.emit(100)
			time.Sleep(time.Minute)
		}
		r.sender.answerWith(ok)
		r.wantCounts("many", r.replay(delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: since}), 3000, 3000, 0)
		seen, began := make(map[[2]uuid.UUID]int), make(map[time.Time]int)
		rows := 0
		for before := uuid.Nil; ; {
			page, err := r.Requests(t.Context(), tenant, delivery.RequestFilter{Trigger: delivery.TriggerReplay, Before: before, Limit: 200})
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range page.Requests {
				seen[[2]uuid.UUID{row.WebhookID, row.EventID}]++
				began[row.StartedAt().Truncate(time.Second)]++
				rows++
			}
			if before = page.Next; before == uuid.Nil {
				break
			}
		}
		if len(seen) != 3000 || rows != 3000 {
			t.Errorf("sent %d deliveries in %d requests", len(seen), rows)
		}
		for second, n := range began {
			if most := 100*runtime.GOMAXPROCS(0) + 1; n > most {
				t.Errorf("%d requests began in the second of %v, want %d at most", n, second, most)
			}
		}
	})
}

// TestReplayPassesOver passes over what nothing can be sent of.
func TestReplayPassesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), once)
		defer r.stop()
		since := r.store.Now()
		kept, disabled, deleted := r.webhook("https://a.example"), r.webhook("https://b.example"), r.webhook("https://c.example")
		r.emit(5)
		time.Sleep(time.Minute)
		r.sender.answerWith(hang)
		started, err := r.StartReplay(t.Context(), tenant, delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: since, WebhookID: kept.ID})
		if err != nil || started.Total != 5 {
			t.Fatalf("%+v, %v", started, err)
		}
		if _, err := r.StartReplay(t.Context(), tenant, delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: since}); !errors.Is(err, delivery.ErrReplayRunning) {
			t.Errorf("a second replay: %v", err)
		}
		r.wantCounts("what hangs", r.replayEnds(started.ID), 5, 0, 5)
		if _, err := r.ChangeWebhook(t.Context(), disabled.Ref(), func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
			t.Fatal(err)
		}
		r.sender.answerWith(after(5 * time.Second))
		started, err = r.StartReplay(t.Context(), tenant, delivery.ReplayFilter{Status: delivery.ReplayFailed, Since: since})
		if err != nil || started.Total != 15 {
			t.Fatalf("%+v, %v", started, err)
		}
		if err := r.DeleteWebhook(t.Context(), deleted.Ref()); err != nil {
			t.Fatal(err)
		}
		got := r.replayEnds(started.ID)
		if got.Done != 15 || got.Total != 15 || got.Succeeded < 5 || got.Succeeded > 13 || got.Failed != 0 {
			t.Errorf("the replay is %+v", got)
		}
	})
}
