package delivery_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

var allFailed = delivery.ReplayFilter{Status: delivery.ReplayFailed}

// failed makes deliveries of some webhooks that have failed.
func (r *running) failed(events int, webhooks ...string) {
	r.t.Helper()
	for _, url := range webhooks {
		r.webhook(url)
	}
	for ; events > 0; events -= 100 {
		r.emit(min(events, 100))
		time.Sleep(time.Minute)
	}
}

// TestReplayTakenOver kills the process that works off a replay. Another one goes on, and sends
// nothing again but what was in flight; the counts are those of the log.
func TestReplayTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		bodies := make(map[string]int)
		endpoints := newEndpoints(status(500))
		store := flaky.New()
		first := run(t, store, endpoints, once)
		first.failed(1000, "https://a.example")
		endpoints.answerWith(func(ctx context.Context, m sender.Message) sender.Response {
			mu.Lock()
			bodies[string(m.Body)]++
			n := len(bodies)
			mu.Unlock()
			if time.Sleep(50 * time.Millisecond); n%3 == 0 {
				return status(404)(ctx, m)
			}
			return ok(ctx, m)
		})
		started, err := first.StartReplay(t.Context(), tenant, allFailed)
		if err != nil || started.Total != 1000 {
			t.Fatalf("%+v, %v", started, err)
		}
		time.Sleep(2500 * time.Millisecond)
		second := run(t, flaky.On(store.Store), endpoints, once)
		defer second.stop()
		before, err := second.Replay(t.Context(), tenant, started.ID)
		if err != nil || before.Done < 50 || before.Done > 900 {
			t.Fatalf("at the time of the kill: %+v, %v", before, err)
		}
		store.Fail(func(string) error { return delivery.ErrUnavailable })
		time.Sleep(time.Second) // what is in flight ends, and nobody learns of it
		killed, cancel := context.WithCancel(t.Context())
		cancel()
		first.detach()
		_ = first.Close(killed)
		got := second.replayEnds(started.ID)
		rows := make(map[uuid.UUID]int)
		succeeded, failed := int64(0), int64(0)
		for _, row := range second.replays() {
			if rows[row.EventID]++; row.Status == delivery.RequestSuccess {
				succeeded++
			} else {
				failed++
			}
		}
		second.wantCounts("taken over", got, 1000, succeeded, failed)
		again := 0
		for _, n := range bodies {
			again += n - 1
		}
		if len(rows) != 1000 || succeeded+failed != 1000 || len(bodies) != 1000 || again > delivery.DefaultSettings().ConcurrencyPerWebhook/4 {
			t.Errorf("%d rows of %d deliveries, %d were sent, %d of them again", succeeded+failed, len(rows), len(bodies), again)
		}
	})
}

// TestReplayStops has a replay go on, at once, in another process when its own stops, and go on
// after what was broken off.
func TestReplayStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endpoints := newEndpoints(status(500))
		store := flaky.New()
		first := run(t, store, endpoints, once)
		first.failed(300, "https://a.example")
		endpoints.answerWith(after(700 * time.Millisecond))
		started, err := first.StartReplay(t.Context(), tenant, allFailed)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		endpoints.answerWith(func(ctx context.Context, _ sender.Message) sender.Response {
			<-ctx.Done()
			return sender.Response{Failure: sender.Interrupted}
		})
		time.Sleep(time.Second)
		first.stop()
		endpoints.answerWith(ok)
		second := run(t, flaky.On(store.Store), endpoints, once)
		defer second.stop()
		second.wantCounts("stopped", second.replayEnds(started.ID), 300, 300, 0)
	})
}

// TestReplayBehind has a replay take a quarter of the slots at most, and none that others need.
func TestReplayBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), once, limits(40, 16))
		defer r.stop()
		urls := []string{"https://a.example", "https://b.example", "https://c.example", "https://d.example"}
		r.failed(200, urls...)
		for _, url := range urls {
			r.sender.atMost(url)
		}
		var mu sync.Mutex
		inFlight, most := 0, 0
		r.sender.answerWith(func(ctx context.Context, m sender.Message) sender.Response {
			mu.Lock()
			inFlight++
			most = max(most, inFlight)
			mu.Unlock()
			defer func() {
				mu.Lock()
				inFlight--
				mu.Unlock()
			}()
			return after(100*time.Millisecond)(ctx, m)
		})
		r.wantCounts("alone", r.replay(allFailed), 800, 800, 0)
		if most > 10 || most < 8 {
			t.Errorf("%d requests were in flight at a time, want a quarter of 40", most)
		}
		for _, url := range urls {
			if n := r.sender.atMost(url); n > 4 {
				t.Errorf("%d to %s, want a quarter of 16", n, url)
			}
		}
	})
}

// TestReplayCanceled sends nothing more once a replay was canceled, and counts what it has sent.
func TestReplayCanceled(t *testing.T) {
	for name, other := range map[string]bool{"here": false, "elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(status(500)), once)
				defer r.stop()
				r.failed(500, "https://a.example")
				r.sender.answerWith(after(300 * time.Millisecond))
				started, err := r.StartReplay(t.Context(), tenant, allFailed)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				by := r
				if other {
					by = run(t, flaky.On(r.store.Store), r.sender, once)
					defer by.stop()
				}
				if err := by.CancelReplay(t.Context(), tenant, started.ID); err != nil {
					t.Fatal(err)
				}
				begun := r.sender.count()
				time.Sleep(5 * time.Second)
				if n := r.sender.count() - begun; n > 0 && !other || n > 60 {
					t.Errorf("%d requests began after that", n)
				}
				got := r.replayEnds(started.ID)
				if sent := int64(len(r.replays())); got.State != delivery.ReplayCanceled || got.Succeeded != sent || got.Done != sent || sent == 0 || sent == 500 {
					t.Errorf("%+v, sent %d", got, sent)
				}
				if err := r.CancelReplay(t.Context(), tenant, started.ID); err != nil {
					t.Errorf("again: %v", err)
				}
				r.sender.answerWith(ok)
				rest := r.replay(allFailed)
				r.wantCounts("the rest", rest, 500-got.Done, 500-got.Done, 0)
			})
		})
	}
}

// TestReplayKeepsRate has a replay begin its requests as seldom as their webhook asks for.
func TestReplayKeepsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), once)
		defer r.stop()
		r.failed(20, "https://a.example")
		w := r.onlyWebhook()
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) {
			w.RateLimit = &delivery.RateLimit{Requests: 1, Per: 2 * time.Second}
		}); err != nil {
			t.Fatal(err)
		}
		r.sender.answerWith(ok)
		before := len(r.sender.to("https://a.example"))
		r.wantCounts("with a rate", r.replay(allFailed), 20, 20, 0)
		at := r.sender.to("https://a.example")[before:]
		if took := at[len(at)-1].Sub(at[0]); took < 37*time.Second || took > 60*time.Second {
			t.Errorf("20 requests were sent within %s, want one in 2 s", took)
		}
	})
}

// TestReplayStoreFails says once that a replay cannot go on, and goes on once it can.
func TestReplayStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.InfoLevel)
		r := run(t, flaky.New(), newEndpoints(status(500)), once)
		defer r.stop()
		settings := delivery.DefaultSettings()
		once(&settings)
		defer r.Attach(settings, zap.New(core))()
		r.failed(300, "https://a.example")
		r.sender.answerWith(after(100 * time.Millisecond))
		started, err := r.StartReplay(t.Context(), tenant, allFailed)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		lines.TakeAll()
		r.store.Fail(func(op string) error {
			if op == "SaveReplay" || op == "Resend" || op == "Requests" {
				return errLost
			}
			return nil
		})
		time.Sleep(10 * time.Minute)
		r.store.Fail(nil)
		r.wantCounts("afterwards", r.replayEnds(started.ID), 300, 300, 0)
		if n := len(r.replays()); n != 300 {
			t.Errorf("%d requests", n)
		}
		said := make(map[string]int)
		for _, line := range lines.All() {
			said[line.Message]++
		}
		if said["a replay cannot go on; it does when the store works again"] != 1 || said["the replay goes on"] != 1 {
			t.Errorf("the log says %v", said)
		}
	})
}
