package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

func TestFreshEventsNeedNoClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		before, began := r.store.Calls("Claim"), time.Now()
		receipt := r.emit(1)[0]
		synctest.Wait()
		if receipt.Deliveries != 1 || receipt.Duplicate {
			t.Errorf("receipt %+v", receipt)
		}
		at := r.sender.to("https://a.example")
		if len(at) != 1 || !at[0].Equal(began) {
			t.Errorf("sent at %v, want once, at %v: a new event must not wait for a timer", at, began)
		}
		if n := r.store.Calls("Claim") - before; n != 0 {
			t.Errorf("%d claims for an event that found a free slot", n)
		}
		if d := r.delivery(receipt.EventID); d.Status != delivery.DeliverySuccess || d.Attempts != 1 {
			t.Errorf("delivery %+v", d)
		}
	})
}

func TestRetrySchedule(t *testing.T) {
	tests := []struct {
		name     string
		attempts int
		answers  []int
		final    delivery.DeliveryStatus
	}{
		{"all fail", 3, []int{500, 404, 302}, delivery.DeliveryFailed},
		{"the last succeeds", 3, []int{500, 503, 204}, delivery.DeliverySuccess},
		{"the second succeeds", 3, []int{500, 200}, delivery.DeliverySuccess},
		{"one attempt", 1, []int{500}, delivery.DeliveryFailed},
		{"many", 7, []int{500, 500, 500, 500, 500, 500, 500}, delivery.DeliveryFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n int
				r := run(t, flaky.New(), newEndpoints(func(context.Context, sender.Message) sender.Response {
					n++
					return sender.Response{StatusCode: tt.answers[n-1]}
				}), func(s *delivery.Settings) { s.Retry.Attempts = tt.attempts })
				defer r.stop()
				r.webhook("https://a.example")
				event := r.emit(1)[0].EventID
				time.Sleep(time.Hour)
				synctest.Wait()

				at := r.sender.to("https://a.example")
				if len(at) != len(tt.answers) {
					t.Fatalf("%d requests, want %d", len(at), len(tt.answers))
				}
				for i := 1; i < len(at); i++ {
					wait := at[i].Sub(at[i-1])
					// The store keeps milliseconds, so that a due time may be rounded by one.
					if low, high := 121*time.Second, 180*time.Second+time.Millisecond; wait < low || wait > high {
						t.Errorf("attempt %d came %s after the one before, want %s to %s", i+1, wait, low, high)
					}
				}
				rows := r.log()
				for i, row := range rows {
					want := delivery.TriggerRetry
					if i == 0 {
						want = delivery.TriggerEvent
					}
					last := i == len(rows)-1
					if row.Trigger != want || row.Attempt != i+1 || row.MaxAttempts != tt.attempts ||
						row.StatusCode != tt.answers[i] || row.NextAttemptAt.IsZero() != last {
						t.Errorf("row %d: %+v", i, row)
					}
					if !last && !row.NextAttemptAt.Equal(rows[i+1].StartedAt()) {
						t.Errorf("attempt %d was due at %v and began at %v", i+2, row.NextAttemptAt, rows[i+1].StartedAt())
					}
				}
				if d := r.delivery(event); d.Status != tt.final || d.Attempts != len(tt.answers) || !d.NextAttemptAt.IsZero() {
					t.Errorf("delivery %+v, want %s", d, tt.final)
				}
			})
		})
	}
}

func TestHangingEndpointsDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(func(ctx context.Context, m sender.Message) sender.Response {
			if m.URL == "https://healthy.example" {
				return ok(ctx, m)
			}
			return hang(ctx, m)
		}))
		defer r.stop()
		for i := range 16 {
			r.webhook(fmt.Sprintf("https://hang%d.example", i))
		}
		r.webhook("https://healthy.example")
		for range 200 {
			began := time.Now()
			r.emit(3)
			synctest.Wait()
			at := r.sender.to("https://healthy.example")
			if got := at[len(at)-1]; !got.Equal(began) {
				t.Fatalf("the healthy endpoint waited %s", got.Sub(began))
			}
			time.Sleep(300 * time.Millisecond)
		}
		if n := len(r.sender.to("https://healthy.example")); n != 600 {
			t.Errorf("%d of 600 events delivered to the healthy endpoint", n)
		}
		for i := range 16 {
			url := fmt.Sprintf("https://hang%d.example", i)
			if most := r.sender.atMost(url); most > delivery.FirstWindow {
				t.Errorf("%s had %d requests in flight", url, most)
			}
		}
	})
}

func TestSlowWebhookGoesOneAtATimeUntilItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "https://a.example"
		r := run(t, flaky.New(), newEndpoints(hang))
		defer r.stop()
		r.webhook(url)
		r.emit(100)
		time.Sleep(30 * time.Second) // until all requests of the first window have timed out
		r.sender.atMost(url)
		time.Sleep(time.Minute)
		synctest.Wait()
		if most := r.sender.atMost(url); most != 1 {
			t.Errorf("%d requests in flight to a webhook that does not answer, want 1", most)
		}
		r.sender.answerWith(after(10 * time.Millisecond))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if most := r.sender.atMost(url); most <= delivery.FirstWindow {
			t.Errorf("only %d in flight at a time after it recovered", most)
		}
		failed := 0
		for _, row := range r.log() {
			if row.Status == delivery.RequestFailed {
				failed++
			}
		}
		if n := len(r.log()) - failed; n != 100 {
			t.Errorf("%d of 100 delivered in the end", n)
		}
	})
}

func TestConcurrencyLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(after(500*time.Millisecond)), func(s *delivery.Settings) {
			s.Concurrency, s.ConcurrencyPerWebhook = 20, 8
		})
		defer r.stop()
		for i := range 5 {
			r.webhook(fmt.Sprintf("https://%d.example", i))
		}
		r.emit(500)
		for range 40 {
			time.Sleep(10 * time.Second)
			total := 0
			r.sender.mu.Lock()
			for url, most := range r.sender.most {
				if most > 8 {
					t.Errorf("%s had %d requests in flight", url, most)
				}
				total += r.sender.inFlight[url]
			}
			r.sender.mu.Unlock()
			if total > 20 {
				t.Errorf("%d requests in flight", total)
			}
		}
		if n := len(r.log()); n != 2500 {
			t.Errorf("%d of 2500 delivered", n)
		}
	})
}

func TestIdleEngineHardlyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		time.Sleep(time.Minute)
		claims, pings := r.store.Calls("Claim"), r.store.Calls("Ping")
		time.Sleep(time.Hour)
		claims, pings = r.store.Calls("Claim")-claims, r.store.Calls("Ping")-pings
		if most := 3600/5 + 1; claims > most || pings > most {
			t.Errorf("%d claims and %d pings in an idle hour, want one in 5 s at most", claims, pings)
		}
	})
}
