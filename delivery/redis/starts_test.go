package redis

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// addLimited adds a webhook with a rate.
func addLimited(t *testing.T, s *Store, limit delivery.RateLimit) *delivery.Webhook {
	t.Helper()
	w := addWebhook(t, s, testTenant)
	w.RateLimit = &limit
	if err := s.UpdateWebhook(t.Context(), w, version(s, testTenant)); err != nil {
		t.Fatal(err)
	}
	return w
}

// TestRateLost loses and damages the rate of a webhook: its record has it, and from then on it holds.
func TestRateLost(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, options())
			w := addLimited(t, s, delivery.RateLimit{Requests: 1, Per: time.Hour})
			mustAccept(t, s, newCall(s, w, 3, 10, false))
			if jobs := claim(t, s); len(jobs) != 1 {
				t.Fatalf("%d deliveries were claimed, want 1", len(jobs))
			}
			damage(t.Context(), s.client().(*redis.Client), s.keys.base(0)+"rates")
			changed := *w
			changed.Description = "else" // has the webhook looked at
			if err := s.UpdateWebhook(t.Context(), &changed, version(s, testTenant)); err != nil {
				t.Fatal(err)
			}
			var jobs []delivery.Job
			for deadline := time.Now().Add(time.Minute); len(jobs) == 0 && time.Now().Before(deadline); {
				jobs = claim(t, s)
			}
			jobs = append(jobs, claim(t, s)...)
			if len(jobs) != 1 {
				t.Errorf("%d deliveries were claimed after the loss, want 1", len(jobs))
			}
		})
	}
}

// TestRateOfProcesses has two processes claim in turn and at the same time: together they start no
// more requests than the rate allows.
func TestRateOfProcesses(t *testing.T) {
	t.Parallel()
	o := options()
	processes := []*Store{open(t, o), open(t, o)}
	limit := delivery.RateLimit{Requests: 100, Per: time.Second}
	w := addLimited(t, processes[0], limit)
	const events = 60
	mustAccept(t, processes[0], newCall(processes[0], w, events, 10, false))
	var mu sync.Mutex
	var starts []time.Time // by Redis's clock
	var all sync.WaitGroup
	for _, s := range processes {
		all.Go(func() {
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				claimed, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 5, PerWebhook: 5, Lease: testLease})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, job := range claimed.Jobs {
					at := time.UnixMilli(job.LeaseEnd).Add(-testLease) // when it was claimed
					starts = append(starts, at.Add(job.StartIn))
				}
				enough := len(starts) == events
				mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	all.Wait()
	if len(starts) != events {
		t.Fatalf("%d deliveries were claimed, want %d", len(starts), events)
	}
	slices.SortFunc(starts, time.Time.Compare)
	for i := range starts[1:] {
		if apart := starts[i+1].Sub(starts[i]); apart < 10*time.Millisecond-time.Microsecond {
			t.Errorf("two requests start %s apart, want 10ms", apart)
		}
	}
}
