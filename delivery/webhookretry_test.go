package delivery_test

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// change changes the only webhook.
func (r *running) change(change func(*delivery.Webhook)) {
	r.t.Helper()
	if _, err := r.ChangeWebhook(r.t.Context(), r.onlyWebhook().Ref(), change); err != nil {
		r.t.Fatal(err)
	}
}

// TestWebhookRetry gives webhooks schedules of their own, of which each leaves out something, and
// looks at when attempts are made, and at how many there were to be.
func TestWebhookRetry(t *testing.T) {
	none := []time.Duration{0, 0}
	for name, tc := range map[string]struct {
		retry *delivery.Retry
		waits []time.Duration // of each attempt for the one before
	}{
		"none":                      {nil, []time.Duration{7 * time.Second, 8 * time.Second, 8 * time.Second}},
		"nothing in it":             {&delivery.Retry{}, []time.Duration{7 * time.Second, 8 * time.Second, 8 * time.Second}},
		"delays":                    {&delivery.Retry{Delays: []time.Duration{time.Second, time.Hour, time.Minute}}, []time.Duration{2 * time.Second, time.Hour + time.Second, time.Minute + time.Second}},
		"attempts":                  {&delivery.Retry{Attempts: 2}, []time.Duration{7 * time.Second}},
		"one attempt":               {&delivery.Retry{Attempts: 1}, nil},
		"jitter":                    {&delivery.Retry{Jitter: none}, []time.Duration{6 * time.Second, 7 * time.Second, 7 * time.Second}},
		"attempts beyond delays":    {&delivery.Retry{Attempts: 4, Delays: []time.Duration{time.Second, time.Hour}, Jitter: none}, []time.Duration{time.Second, time.Hour, time.Hour}},
		"more delays than attempts": {&delivery.Retry{Attempts: 2, Delays: []time.Duration{time.Second, time.Hour}, Jitter: none}, []time.Duration{time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(status(500)), func(s *delivery.Settings) {
					s.Retry = delivery.RetryPolicy{
						Attempts: 4, Delays: []time.Duration{6 * time.Second, 7 * time.Second},
						JitterMin: time.Second, JitterMax: time.Second,
					}
				})
				defer r.stop()
				w := r.webhook("https://a.example")
				r.change(func(w *delivery.Webhook) { w.Retry = tc.retry })
				r.emit(1)
				time.Sleep(4 * time.Hour) // one more would come within an hour and 8 s of the last
				at := r.sender.to(w.URL)
				if len(at) != len(tc.waits)+1 {
					t.Fatalf("%d attempts, want %d", len(at), len(tc.waits)+1)
				}
				for i, want := range tc.waits {
					if got := at[i+1].Sub(at[i]); got != want {
						t.Errorf("attempt %d comes %v after the one before, want %v", i+2, got, want)
					}
				}
				for _, row := range r.log() {
					if row.MaxAttempts != len(at) {
						t.Errorf("row %+v, want %d attempts in all", row, len(at))
					}
				}
			})
		})
	}
}

// TestRetryAfter has an endpoint ask for more time: it gets that, but no more than is configured,
// and never less than by the schedule.
func TestRetryAfter(t *testing.T) {
	for name, tc := range map[string]struct {
		most       time.Duration
		retryAfter string
		wait       time.Duration
	}{
		"off":               {0, "3600", time.Minute},
		"seconds":           {24 * time.Hour, "3600", time.Hour},
		"a date":            {24 * time.Hour, "Sat, 01 Jan 2000 02:00:00 GMT", 2 * time.Hour},
		"more than allowed": {time.Hour, "7200", time.Hour},
		"sooner":            {24 * time.Hour, "5", time.Minute},
		"a date that was":   {24 * time.Hour, "Fri, 31 Dec 1999 23:00:00 GMT", time.Minute},
		"nonsense":          {24 * time.Hour, "later", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(func(context.Context, sender.Message) sender.Response {
					return sender.Response{StatusCode: 503, RetryAfter: tc.retryAfter}
				}), func(s *delivery.Settings) {
					s.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Minute}, RetryAfter: tc.most}
				})
				defer r.stop()
				w := r.webhook("https://a.example")
				r.emit(1)
				synctest.Wait()
				next := r.log()[0].NextAttemptAt
				time.Sleep(3 * time.Hour)
				at := r.sender.to(w.URL)
				if len(at) != 2 || at[1].Sub(at[0]) != tc.wait || !next.Equal(at[1]) {
					t.Errorf("attempts at %v, and %v was told, want %v between", at, next, tc.wait)
				}
			})
		})
	}
}

// TestRetryThatChanges changes a webhook's schedule while a delivery waits: each attempt goes by
// what is in force when it has failed.
func TestRetryThatChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)))
		defer r.stop()
		w := r.webhook("https://a.example")
		set := func(attempts int, delay time.Duration) {
			r.change(func(w *delivery.Webhook) {
				w.Retry = &delivery.Retry{Attempts: attempts, Delays: []time.Duration{delay}, Jitter: []time.Duration{0, 0}}
			})
		}
		set(9, time.Hour)
		event := r.emit(1)[0].EventID
		synctest.Wait()
		set(9, time.Minute)
		time.Sleep(time.Hour + 30*time.Second) // the second attempt is made as it was to be
		set(3, time.Second)
		time.Sleep(24 * time.Hour)
		at := r.sender.to(w.URL)
		if len(at) != 3 || at[1].Sub(at[0]) != time.Hour || at[2].Sub(at[1]) != time.Minute {
			t.Errorf("attempts at %v", at)
		}
		if d := r.delivery(event); d.Status != delivery.DeliveryFailed || d.Attempts != 3 {
			t.Errorf("the delivery is %+v", d)
		}
	})
}

// TestAnyRetries has webhooks with any schedules fail now and then, until nothing is pending: no
// attempt comes before its time, or is one too many.
func TestAnyRetries(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		retries := rapid.SliceOfN(rapid.Custom(someRetry), 1, 4).Draw(rt, "retries")
		events := rapid.IntRange(1, 5).Draw(rt, "events")
		every := rapid.IntRange(2, 5).Draw(rt, "one of how many succeeds")
		policies := make(map[string]delivery.RetryPolicy)
		var rows []delivery.Request
		synctest.Test(t, func(t *testing.T) {
			endpoints := newEndpoints(everyNth(every))
			r := run(t, flaky.New(), endpoints)
			defer r.stop()
			for i, retry := range retries {
				w := r.webhook("https://" + string(rune('a'+i)) + ".example")
				if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Retry = retry }); err != nil {
					t.Fatal(err)
				}
				policies[w.URL] = policyOf(retry)
			}
			r.emit(events)
			time.Sleep(time.Hour)
			rows = r.log()
			if n, err := r.store.Pending(t.Context()); n != 0 || err != nil {
				t.Fatalf("%d deliveries are pending, %v", n, err)
			}
		})
		wantScheduled(rt, rows, policies)
	})
}

// someRetry is one whose attempts are all made within an hour.
func someRetry(t *rapid.T) *delivery.Retry {
	if rapid.Bool().Draw(t, "none") {
		return nil
	}
	durations := rapid.Map(rapid.Int64Range(0, int64(time.Minute)), func(n int64) time.Duration { return time.Duration(n).Truncate(time.Millisecond) })
	r := &delivery.Retry{Attempts: rapid.IntRange(0, 9).Draw(t, "attempts")}
	if rapid.Bool().Draw(t, "with delays") {
		r.Delays = rapid.SliceOfN(durations, 1, 9).Draw(t, "delays")
	}
	if rapid.Bool().Draw(t, "with jitter") {
		least := durations.Draw(t, "least")
		r.Jitter = []time.Duration{least, least + durations.Draw(t, "more")}
	}
	return r
}

// policyOf is the policy that a webhook should have.
func policyOf(r *delivery.Retry) delivery.RetryPolicy {
	p := delivery.DefaultSettings().Retry
	if r == nil {
		return p
	}
	if r.Delays != nil {
		p.Delays, p.Attempts = r.Delays, len(r.Delays)+1
	}
	if r.Attempts != 0 {
		p.Attempts = r.Attempts
	}
	if r.Jitter != nil {
		p.JitterMin, p.JitterMax = r.Jitter[0], r.Jitter[1]
	}
	return p
}

// wantScheduled checks the rows of deliveries, which are all.
func wantScheduled(t *rapid.T, rows []delivery.Request, policies map[string]delivery.RetryPolicy) {
	slices.SortFunc(rows, func(a, b delivery.Request) int { return cmp.Compare(a.Attempt, b.Attempt) })
	type key struct{ webhook, event uuid.UUID }
	last := make(map[key]delivery.Request)
	for _, row := range rows {
		policy, of := policies[row.URL], key{row.WebhookID, row.EventID}
		before, again := last[of]
		last[of] = row
		if row.Attempt != before.Attempt+1 || row.Attempt > policy.Attempts || row.MaxAttempts != policy.Attempts {
			t.Fatalf("after %+v comes %+v, by %+v", before, row, policy)
		}
		if again {
			delay := policy.Delays[min(before.Attempt, len(policy.Delays))-1]
			wait := row.StartedAt().Sub(before.StartedAt())
			if before.Status == delivery.RequestSuccess || wait < delay+policy.JitterMin-time.Millisecond || wait > delay+policy.JitterMax+time.Second {
				t.Fatalf("%v after %+v comes %+v, by %+v", wait, before, row, policy)
			}
		}
	}
	for _, row := range last {
		if row.Status != delivery.RequestSuccess && row.Attempt != row.MaxAttempts {
			t.Fatalf("after %+v comes nothing", row)
		}
	}
}
