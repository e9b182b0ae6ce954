package redis

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestQueueLost loses and damages what Redis has of a webhook's queues: nothing that waits is lost.
// Sweep has it queued again, or due. Nor does anything that comes later wait for what has ended.
func TestQueueLost(t *testing.T) {
	for _, key := range []string{"queue:", "ordered:"} {
		for name, damage := range damages {
			t.Run(key+name, func(t *testing.T) {
				t.Parallel()
				s := open(t, options())
				w := addWebhook(t, s, testTenant)
				acceptOrdered(t, s, w)
				damage(t.Context(), s.client().(*redis.Client), s.keys.base(0)+key+refText(w.Ref()))
				if n := completeAll(t, s, w); n != orderedEvents {
					t.Errorf("%d deliveries were claimed, want %d", n, orderedEvents)
				}
				acceptOrdered(t, s, w)
				if n := completeAll(t, s, w); n != orderedEvents {
					t.Errorf("of those that came later, %d were claimed, want %d", n, orderedEvents)
				}
			})
		}
	}
}

const orderedEvents = 5

// acceptOrdered accepts events whose deliveries go one at a time.
func acceptOrdered(t *testing.T, s *Store, w *delivery.Webhook) {
	t.Helper()
	call := newCall(s, w, orderedEvents, 10, false)
	for i := range call.Events {
		call.Events[i].Targets[0].Order = delivery.OrderKey{1}
	}
	mustAccept(t, s, call)
}

// completeAll sweeps, claims and completes more often than there are deliveries, and returns how many
// there were.
func completeAll(t *testing.T, s *Store, w *delivery.Webhook) int {
	t.Helper()
	got := make(map[uuid.UUID]bool)
	for range 3 * orderedEvents {
		for more := true; more; {
			var err error
			if more, err = s.Sweep(t.Context(), testRetention); err != nil {
				t.Fatal(err)
			}
		}
		for _, job := range claim(t, s) {
			got[job.Event.ID] = true
			o := success(s, w, &delivery.AcceptEvent{ID: job.Event.ID, Type: job.Event.Type}, &delivery.Accepted{At: job.Event.ReceivedAt, LeaseEnd: job.LeaseEnd})
			if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
				t.Fatal(err)
			}
		}
	}
	return len(got)
}
