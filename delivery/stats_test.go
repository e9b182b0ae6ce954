package delivery_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// TestTenantStats sends requests at known times, and looks in which slices they are
// counted.
func TestTenantStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(after(20*time.Millisecond)), func(s *delivery.Settings) { s.Retry.Attempts = 1 })
		defer r.stop()
		r.webhook("https://a.example")
		midnight := time.Now().UTC() // when the test's clock begins
		for _, at := range []time.Duration{0, 5*time.Hour + 59*time.Minute, 6 * time.Hour, 6*time.Hour + 5*time.Minute} {
			time.Sleep(time.Until(midnight.Add(at)))
			r.emit(2)
		}
		time.Sleep(time.Second)
		r.sender.answerWith(status(500))
		r.emit(1)
		time.Sleep(time.Second)
		for _, want := range []struct {
			period  delivery.Period
			since   time.Time
			numbers map[int]int64 // how many requests are in each slice
		}{
			{delivery.Period{Slices: 12, Length: 5 * time.Minute}, midnight.Add(5*time.Hour + 10*time.Minute), map[int]int64{9: 2, 10: 2, 11: 3}},
			{delivery.Period{Slices: 24, Length: time.Hour}, midnight.Add(-17 * time.Hour), map[int]int64{17: 2, 22: 2, 23: 5}},
			{delivery.Period{Slices: 28, Length: 6 * time.Hour}, midnight.Add(-26 * 6 * time.Hour), map[int]int64{26: 4, 27: 5}},
			{delivery.Period{Slices: 1, Length: time.Hour}, midnight.Add(6 * time.Hour), map[int]int64{0: 5}},
		} {
			got, err := r.TenantStats(t.Context(), tenant, want.period)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Since.Equal(want.since) || !got.Until.Equal(time.Now().Truncate(time.Millisecond)) || len(got.Slices) != want.period.Slices {
				t.Errorf("%+v is since %s, until %s, in %d slices", want.period, got.Since, got.Until, len(got.Slices))
			}
			sum := int64(0)
			for i, slice := range got.Slices {
				n := slice.Successes + slice.Failures
				if n != want.numbers[i] || !slice.Since.Equal(want.since.Add(time.Duration(i)*want.period.Length)) {
					t.Errorf("slice %d of %+v since %s has %d, want %d", i, want.period, slice.Since, n, want.numbers[i])
				}
				sum += n
			}
			if got.Successes+got.Failures != sum || got.Failures != 1 {
				t.Errorf("%+v has %d successes and %d failures, want %d in all", want.period, got.Successes, got.Failures, sum)
			}
			if p50, ok := got.Percentile(50); !ok || p50 < 17*time.Millisecond || p50 > 23*time.Millisecond {
				t.Errorf("the 50th percentile of %+v is %s, %t, want about 20 ms", want.period, p50, ok)
			}
		}
		if other, err := r.TenantStats(t.Context(), "other", delivery.Period{Slices: 24, Length: time.Hour}); err != nil || other.Successes+other.Failures != 0 {
			t.Errorf("another tenant has %+v, %v", other, err)
		}
	})
}

// TestPendingStats has one delivery wait for its next attempt, and two wait for their
// webhook to be enabled.
func TestPendingStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)))
		defer r.stop()
		enabled, disabled := r.webhook("https://a.example"), r.webhook("https://b.example")
		r.emit(1)
		time.Sleep(time.Second)
		if _, err := r.ChangeWebhook(t.Context(), enabled.Ref(), func(w *delivery.Webhook) { w.EventTypes = []string{"none"} }); err != nil {
			t.Fatal(err)
		}
		r.emit(1)
		time.Sleep(time.Second)
		if _, err := r.ChangeWebhook(t.Context(), disabled.Ref(), func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
			t.Fatal(err)
		}
		got, err := r.TenantStats(t.Context(), tenant, delivery.Period{Slices: 1, Length: time.Hour})
		if err != nil || got.Pending != 3 || got.DisabledPending != 2 {
			t.Errorf("%d are pending, %d of them for a disabled webhook, %v, want 3 and 2", got.Pending, got.DisabledPending, err)
		}
		all, err := r.WebhookStats(t.Context(), tenant)
		if err != nil || len(all) != 2 || all[0].Pending+all[1].Pending != 3 {
			t.Errorf("the webhooks have %+v, %v", all, err)
		}
	})
}

// TestWebhookStats looks at a webhook's hours of the last day.
func TestWebhookStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		w := r.webhook("https://a.example")
		begin := time.Now().UTC()
		for _, at := range []time.Duration{time.Minute, time.Hour + time.Minute, 2 * time.Hour} {
			time.Sleep(time.Until(begin.Add(at)))
			r.emit(3)
			synctest.Wait()
		}
		want := []delivery.HourCount{{Since: begin.Add(time.Hour), Successes: 3}, {Since: begin.Add(2 * time.Hour), Successes: 3}}
		time.Sleep(time.Until(begin.Add(24*time.Hour + 59*time.Minute)))
		all, err := r.WebhookStats(t.Context(), tenant)
		if err != nil || len(all) != 1 || all[0].WebhookID != w.ID {
			t.Fatalf("got %+v, %v", all, err)
		}
		got := all[0]
		if !slices.Equal(got.Hours, want) || !got.LastAt.Equal(begin.Add(2*time.Hour)) || !got.DisabledSince.IsZero() {
			t.Errorf("after a day the webhook has %+v, want the hours %+v", got, want)
		}
	})
}

// TestDisabledSince disables webhooks and changes them in other ways.
func TestDisabledSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		begin := time.Now().UTC()
		w := r.webhook("https://a.example")
		check := func(when string, want time.Time) {
			t.Helper()
			all, err := r.WebhookStats(t.Context(), tenant)
			if err != nil || len(all) != 1 || !all[0].DisabledSince.Equal(want) {
				t.Errorf("%s: got %+v, %v, want %s", when, all, err, want)
			}
		}
		enable := func(on bool) func(*delivery.Webhook) { return func(w *delivery.Webhook) { w.Enabled = on } }
		describe := func(w *delivery.Webhook) { w.Description += "x" }
		var disabled time.Time
		for i, change := range []struct {
			do  func(*delivery.Webhook)
			set int // the hour since which it is disabled after the change, 0 if it is enabled
		}{
			{describe, 0}, {enable(false), 2}, {describe, 2}, {enable(false), 2}, {enable(true), 0}, {describe, 0}, {enable(false), 7},
		} {
			time.Sleep(time.Hour)
			if _, err := r.ChangeWebhook(t.Context(), w.Ref(), change.do); err != nil {
				t.Fatal(err)
			}
			disabled = time.Time{}
			if change.set > 0 {
				disabled = begin.Add(time.Duration(change.set) * time.Hour)
			}
			check("change "+string(rune('1'+i)), disabled)
		}
		if err := r.DeleteWebhook(t.Context(), w.Ref()); err != nil {
			t.Fatal(err)
		}

		made, err := r.CreateWebhook(t.Context(), delivery.Webhook{Tenant: tenant, URL: "https://b.example"})
		if err != nil {
			t.Fatal(err)
		}
		check("created disabled", made.CreatedAt)
		if err := r.DeleteWebhook(t.Context(), made.Ref()); err != nil {
			t.Fatal(err)
		}

		// An older record does not say when its webhook was disabled.
		old := &delivery.Webhook{Tenant: tenant, ID: uuid.New(), URL: "https://c.example", CreatedAt: begin, UpdatedAt: begin.Add(time.Minute)}
		if err := r.store.CreateWebhook(t.Context(), old, delivery.MaxWebhooks); err != nil {
			t.Fatal(err)
		}
		check("disabled long ago", old.UpdatedAt)
		if _, err := r.ChangeWebhook(t.Context(), old.Ref(), describe); err != nil {
			t.Fatal(err)
		}
		check("disabled long ago, and changed since", old.UpdatedAt)
	})
}
