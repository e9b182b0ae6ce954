package delivery_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

func onGone(s *delivery.Settings) { s.DisableOnGone = true }

func (r *running) wantDisabled(when string, want delivery.DisabledReason) {
	r.t.Helper()
	synctest.Wait()
	w := r.onlyWebhook()
	if w.Enabled != (want == "") || w.DisabledReason != want || w.WhyDisabled() != want || w.DisabledAt.IsZero() != w.Enabled {
		r.t.Errorf("%s: the webhook is %+v, want it disabled for %q", when, w, want)
	}
}

// TestDisableOnGone has an endpoint say that it is gone, to an attempt, a test and a re-run.
func TestDisableOnGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := new(notes)
		r := runObserved(t, told, flaky.New(), newEndpoints(status(410)), onGone)
		defer r.stop()
		w := r.webhook("https://a.example")
		enable := func() {
			time.Sleep(time.Millisecond)
			r.change(func(w *delivery.Webhook) { w.Enabled = true })
		}
		event := r.emit(1)[0].EventID
		r.wantDisabled("after an attempt", delivery.DisabledGone)
		time.Sleep(24 * time.Hour)
		if d := r.delivery(event); d.Status != delivery.DeliveryPending || d.Attempts != 1 || r.sender.count() != 1 {
			t.Errorf("the delivery is %+v after %d requests", d, r.sender.count())
		}
		r.change(func(w *delivery.Webhook) { w.Description = "b" })
		r.wantDisabled("after another change", delivery.DisabledGone)
		r.sender.answerWith(ok)
		enable()
		r.wantDisabled("enabled again", "")
		if d := r.delivery(event); d.Status != delivery.DeliverySuccess {
			t.Errorf("after the webhook was enabled the delivery is %+v", d)
		}
		r.sender.answerWith(status(410))
		if _, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		r.wantDisabled("after a test", delivery.DisabledGone)
		enable()
		if _, err := r.Rerun(t.Context(), tenant, r.log()[0].ID); err != nil {
			t.Fatal(err)
		}
		r.wantDisabled("after a re-run", delivery.DisabledGone)
		enable()
		r.change(func(w *delivery.Webhook) { w.Enabled = false })
		r.wantDisabled("by an admin", delivery.DisabledByAdmin)
		disabled := 0
		for _, line := range told.take() {
			if line == "disabled: gone" {
				disabled++
			}
		}
		if disabled != 3 {
			t.Errorf("the observer was told %d times, want 3", disabled)
		}
	})
}

// TestNotDisabledOnGone: without the option, with other statuses, and if the webhook has changed
// since the request began, it stays enabled.
func TestNotDisabledOnGone(t *testing.T) {
	for name, tc := range map[string]struct {
		code    int
		set     func(*delivery.Settings)
		changed bool
	}{
		"off": {410, func(*delivery.Settings) {}, false}, "404": {404, onGone, false}, "changed": {410, onGone, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(nil), tc.set)
				defer r.stop()
				answer := make(chan struct{})
				r.sender.answerWith(func(context.Context, sender.Message) sender.Response {
					<-answer
					return sender.Response{StatusCode: tc.code}
				})
				w := r.webhook("https://a.example")
				r.emit(1)
				synctest.Wait()
				time.Sleep(time.Millisecond)
				if tc.changed {
					if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.URL = "https://b.example" }); err != nil {
						t.Fatal(err)
					}
				}
				close(answer)
				r.wantDisabled("after "+name, "")
			})
		})
	}
}

// TestDisableAfter has requests to an endpoint end in turn, each ten minutes after the one before,
// with failures disabling it after an hour.
func TestDisableAfter(t *testing.T) {
	const f, s = 500, 200
	for name, tc := range map[string]struct {
		statuses []int
		change   int // after how many of them the webhook is changed; 0: never
		want     delivery.DisabledReason
	}{
		"too few":                      {[]int{f, f, f, f, f, f, f, f, f}, 0, ""},
		"failures alone":               {[]int{f, f, f, f, f, f, f, f, f, f}, 0, delivery.DisabledFailing},
		"after a success":              {[]int{s, f, f, f, f, f, f, f, f, f, f}, 0, delivery.DisabledFailing},
		"a success among them":         {[]int{f, f, f, f, f, f, f, f, s, f, f, f, f, f}, 0, ""},
		"a success long ago":           {[]int{f, f, f, s, f, f, f, f, f, f, f, f, f, f}, 0, delivery.DisabledFailing},
		"too few since a success":      {[]int{f, f, f, f, f, f, f, f, f, s, f, f, f, f, f, f, f, f, f}, 0, ""},
		"too few since it was changed": {[]int{f, f, f, f, f, f, f, f, f, f, f, f}, 5, ""},
		"enough since it was changed":  {[]int{f, f, f, f, f, f, f, f, f, f, f, f, f, f, f}, 5, delivery.DisabledFailing},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(ok), func(s *delivery.Settings) {
					s.Retry.Attempts, s.DisableAfter = 1, time.Hour
				})
				defer r.stop()
				r.webhook("https://a.example")
				for i, code := range tc.statuses {
					r.sender.answerWith(status(code))
					r.emit(1)
					synctest.Wait()
					if tc.change == i+1 {
						time.Sleep(time.Minute)
						r.change(func(w *delivery.Webhook) { w.Description = "b" })
					}
					time.Sleep(10 * time.Minute)
				}
				r.wantDisabled(name, tc.want)
			})
		})
	}
}

// TestDisableAfterTime has ten requests fail at once: the webhook is disabled with the first
// failure after the time, and not before.
func TestDisableAfterTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)), func(s *delivery.Settings) {
			s.Retry.Attempts, s.DisableAfter = 1, time.Hour
		})
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(20)
		synctest.Wait()
		time.Sleep(59 * time.Minute)
		r.emit(1)
		r.wantDisabled("before the time", "")
		time.Sleep(2 * time.Hour)
		r.wantDisabled("without another failure", "")
		r.emit(1)
		r.wantDisabled("with another failure", delivery.DisabledFailing)
		r.change(func(w *delivery.Webhook) { w.Enabled = true })
		r.emit(20)
		r.wantDisabled("enabled again", "")
	})
}

// countingReads counts what is read to judge a webhook.
type countingReads struct {
	*flaky.Store
	reads atomic.Int64
}

func (c *countingReads) Webhook(ctx context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	c.reads.Add(1)
	return c.Store.Webhook(ctx, ref)
}

func (c *countingReads) Requests(ctx context.Context, tenant string, filter delivery.RequestFilter) (delivery.RequestPage, error) {
	c.reads.Add(1)
	return c.Store.Requests(ctx, tenant, filter)
}

// TestJudgingIsRare has thousands of requests fail: without the option nothing is read for that,
// and with it a webhook is looked at a few times.
func TestJudgingIsRare(t *testing.T) {
	for after, most := range map[time.Duration]int64{0: 0, time.Hour: 50} {
		synctest.Test(t, func(t *testing.T) {
			store := &countingReads{Store: flaky.New()}
			r := runOn(t, store, store.Store, newEndpoints(everyNth(40)), func(s *delivery.Settings) {
				s.Retry.Attempts, s.DisableAfter = 1, after
			})
			defer r.stop()
			r.webhook("https://a.example")
			for range 100 {
				r.emit(30)
				time.Sleep(time.Minute)
			}
			if n := store.reads.Load(); n > most || (n == 0) != (after == 0) {
				t.Errorf("after %v: %d reads for 3000 requests", after, n)
			}
			r.wantDisabled("with a success now and then", "")
		})
	}
}

// failingReads is a store whose reads of webhooks fail for a while.
type failingReads struct {
	*flaky.Store
	left atomic.Int64
}

func (f *failingReads) Webhook(ctx context.Context, ref delivery.WebhookRef) (*delivery.Webhook, int64, error) {
	if f.left.Add(-1) >= 0 {
		return nil, 0, errors.New("away")
	}
	return f.Store.Webhook(ctx, ref)
}

// TestDisabledLater has the store be away when an endpoint says that it is gone, for the last time
// of a delivery.
func TestDisabledLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &failingReads{Store: flaky.New()}
		r := runOn(t, store, store.Store, newEndpoints(status(410)), onGone, func(s *delivery.Settings) { s.Retry.Attempts = 1 })
		defer r.stop()
		r.webhook("https://a.example")
		store.left.Store(5)
		r.emit(1)
		r.wantDisabled("while the store is away", "")
		time.Sleep(5 * time.Minute)
		r.wantDisabled("once it is back", delivery.DisabledGone)
	})
}

// TestOneDisables has several engines on one store see the same endpoint go: one of them says so,
// in the audit log and to its observer.
func TestOneDisables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told, store, endpoints := new(notes), flaky.New(), newEndpoints(status(410))
		set := func(s *delivery.Settings) {
			s.DisableOnGone = true
			s.AuditOwn = func(by string, action delivery.Action) delivery.Audit {
				return func(before, after *delivery.Webhook) *delivery.AuditEntry {
					if !before.Enabled || after.Enabled || after.DisabledReason != delivery.DisabledGone {
						t.Errorf("audited as %+v to %+v", before, after)
					}
					return &delivery.AuditEntry{By: by, Action: action}
				}
			}
		}
		a, b := runObserved(t, told, store, endpoints, set), runObserved(t, told, store, endpoints, set)
		defer a.stop()
		defer b.stop()
		w := a.webhook("https://a.example")
		for range 5 {
			a.emit(10)
			b.emit(10)
		}
		a.wantDisabled("after all", delivery.DisabledGone)
		page, err := store.AuditEntries(t.Context(), tenant, delivery.AuditFilter{Limit: 10})
		if err != nil || len(page.Entries) != 1 || page.Entries[0].WebhookID != w.ID {
			t.Errorf("the audit log is %+v, %v", page.Entries, err)
		}
		disabled := 0
		for _, line := range told.take() {
			if line == "disabled: gone" {
				disabled++
			}
		}
		if disabled != 1 {
			t.Errorf("observers were told %d times", disabled)
		}
	})
}
