package redis

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// endings are ways in which a request ends. Each changes an outcome that is the success of a
// first attempt, and gives the delivery as it is then.
var endings = map[string]struct {
	change func(s *Store, o *delivery.Outcome)
	leased bool
	want   delivery.Delivery
}{
	"success": {func(*Store, *delivery.Outcome) {}, true, delivery.Delivery{Status: delivery.DeliverySuccess, Attempts: 1}},
	"success at once": {func(_ *Store, o *delivery.Outcome) {
		*o = begunAfter(time.Millisecond, *o)
	}, true, delivery.Delivery{Status: delivery.DeliverySuccess, Attempts: 1}},
	"retry": {func(s *Store, o *delivery.Outcome) {
		o.Request.Status, o.RetryAt = delivery.RequestFailed, s.Now().Add(time.Hour)
	}, true, delivery.Delivery{Status: delivery.DeliveryPending, Attempts: 1}},
	"timeout": {func(s *Store, o *delivery.Outcome) {
		o.Request.Status, o.RetryAt, o.Slow = delivery.RequestFailed, s.Now().Add(time.Hour), true
	}, true, delivery.Delivery{Status: delivery.DeliveryPending, Attempts: 1}},
	"failure": {func(_ *Store, o *delivery.Outcome) {
		o.Request.Status = delivery.RequestFailed
	}, true, delivery.Delivery{Status: delivery.DeliveryFailed, Attempts: 1}},
	"re-run": {func(_ *Store, o *delivery.Outcome) {
		o.Request.Trigger, o.Request.Attempt, o.LeaseEnd = delivery.TriggerRerun, 0, 0
	}, false, delivery.Delivery{Status: delivery.DeliverySuccess}},
	"failed re-run": {func(_ *Store, o *delivery.Outcome) {
		o.Request.Status, o.Request.Trigger, o.Request.Attempt, o.LeaseEnd = delivery.RequestFailed, delivery.TriggerRerun, 0, 0
	}, true, delivery.Delivery{Status: delivery.DeliveryPending}},
}

// TestCompleteBrokenOff has complete.lua break off at each kind of key that it writes. Then
// its repetition does the rest, and nothing twice.
func TestCompleteBrokenOff(t *testing.T) {
	t.Parallel()
	for name, ending := range endings {
		for _, kind := range []string{"hours", "bodies", "requests", "deliveries", "pending", "due", "due:slow", "state", "leases", "leased"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				b := newBreakable(t, nil)
				w := addWebhook(t, b.s, "own")
				call := newCall(b.s, w, 1, 10, ending.leased)
				accepted := mustAccept(t, b.s, call)
				o := success(b.s, w, &call.Events[0], &accepted)
				o.Request.ResponseBody = "thanks"
				ending.change(b.s, &o)

				b.denyKind(kind, true)
				first := errors.Join(b.s.Complete(t.Context(), []delivery.Outcome{o})...)
				b.set("~" + b.s.keys.prefix + ":*")
				if err := errors.Join(b.s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
					t.Fatal(err)
				}
				if first != nil && errors.Is(first, delivery.ErrUnavailable) && kind != "hours" {
					t.Errorf("the error promises that nothing was written: %v", first)
				}
				b.wantWritten(&o, ending.want)
			})
		}
	}
}

// wantWritten checks the delivery, the log and the counters after one request.
func (b *breakable) wantWritten(o *delivery.Outcome, want delivery.Delivery) {
	b.Helper()
	tenant := o.Request.Tenant
	_, deliveries, err := b.s.Event(b.Context(), tenant, o.Request.EventID)
	if err != nil || len(deliveries) != 1 || deliveries[0].Status != want.Status || deliveries[0].Attempts != want.Attempts {
		b.Errorf("the deliveries are %+v, %v, want %+v", deliveries, err, want)
	}
	for _, filter := range []delivery.RequestFilter{{}, {EventID: o.Request.EventID}} {
		filter.Limit = 10
		page, err := b.s.Requests(b.Context(), tenant, filter)
		if err != nil || len(page.Requests) != 1 || page.Requests[0].ID != o.Request.ID {
			b.Errorf("the log is %+v, %v", page, err)
		}
	}
	if r, err := b.s.Request(b.Context(), tenant, o.Request.ID); err != nil || r.ResponseBody != o.Request.ResponseBody {
		b.Errorf("the request is %+v, %v", r, err)
	}
	counts, err := b.s.RequestCounts(b.Context(), tenant, b.s.Now().Add(-time.Hour))
	if err != nil || len(counts) != 1 || counts[0].N != 1 {
		b.Errorf("the counts are %+v, %v", counts, err)
	}
	scheduled := 0
	if want.Status == delivery.DeliveryPending {
		scheduled = 1
	}
	pending, err := b.s.WebhookPending(b.Context(), tenant, []uuid.UUID{o.Request.WebhookID})
	if err != nil || pending[0] != int64(scheduled) {
		b.Errorf("%v are pending, %v", pending, err)
	}
	_, err = b.s.audit(b.Context(), b.s.keys.base(0), "")
	if err != nil || b.logs.FilterMessageSnippet("lost their place").Len() > 0 {
		b.Errorf("a webhook has lost its place: %v", err)
	}
}
