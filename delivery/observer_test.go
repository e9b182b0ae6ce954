package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
)

// notes is an Observer that notes what it is told.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

// take returns what was noted since the last call.
func (n *notes) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	lines := n.lines
	n.lines = nil
	return lines
}

func (n *notes) EventsAccepted(stored, duplicates int) {
	n.add("accepted %d, %d duplicates", stored, duplicates)
}

func (n *notes) RequestStarts(late time.Duration, slow bool) {
	n.add("late by %s, slow %t", late, slow)
}

func (n *notes) RequestEnded(trigger delivery.Trigger, status delivery.RequestStatus, took time.Duration) {
	n.add("%s: %s after %s", trigger, status, took)
}
func (n *notes) DeliveryFailed()                                { n.add("failed for good") }
func (n *notes) FilterFailed()                                  { n.add("filter failed") }
func (n *notes) OrderFailed()                                   { n.add("order failed") }
func (n *notes) StoreFailed(operation string)                   { n.add("store: %s", operation) }
func (n *notes) WebhookDisabled(reason delivery.DisabledReason) { n.add("disabled: %s", reason) }

func (n *notes) want(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := n.take(); !slices.Equal(got, want) {
		t.Errorf("%s: the observer was told %q, want %q", when, got, want)
	}
}

func runObserved(t *testing.T, told *notes, store *flaky.Store, sender *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	return runEngine(t, delivery.NewEngine(store, delivery.WithObserver(told)), store, sender, change...)
}

func TestObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := new(notes)
		r := runObserved(t, told, flaky.New(), newEndpoints(after(20*time.Millisecond)), func(s *delivery.Settings) {
			s.Retry = delivery.RetryPolicy{Attempts: 2, Delays: []time.Duration{time.Minute}}
		})
		defer r.stop()
		w := r.webhook("https://a.example")
		told.want(t, "at first")
		observeSuccess(t, r, told)
		r.sender.answerWith(status(500))
		observeFailure(t, r, told, w)
		observeStoreFailure(t, r, told)
	})
}

// observeSuccess emits an event and its duplicate. The event is delivered at once.
func observeSuccess(t *testing.T, r *running, told *notes) {
	event := delivery.NewEvent{ID: uuid.New(), Type: "alert_active", Data: []byte(`{}`)}
	if _, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{event, event}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	if got, want := r.Stats(), (delivery.Stats{InFlight: 1}); got != want {
		t.Errorf("with a request in flight: %+v, want %+v", got, want)
	}
	r.wantPending("with a request in flight", 1)
	time.Sleep(time.Second)
	told.want(t, "success", "accepted 1, 1 duplicates", "event: success after 20ms")
	r.wantPending("after success", 0)
}

// observeFailure has all attempts of a delivery fail, and then a re-run and a test.
func observeFailure(t *testing.T, r *running, told *notes, w *delivery.Webhook) {
	receipt := r.emit(1)[0]
	time.Sleep(30 * time.Second)
	told.want(t, "first failure", "accepted 1, 0 duplicates", "event: failed after 0s")
	r.wantPending("between attempts", 1)
	time.Sleep(time.Minute)
	told.want(t, "last failure", "late by 0s, slow false", "retry: failed after 0s", "failed for good")

	if _, err := r.Rerun(t.Context(), tenant, r.log()[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "test", Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	told.want(t, "re-run and test", "rerun: failed after 0s", "test: failed after 0s")
	if d := r.delivery(receipt.EventID); d.Status != delivery.DeliveryFailed {
		t.Errorf("delivery %+v", d)
	}
}

// observeStoreFailure has the store write no outcomes for a while.
func observeStoreFailure(t *testing.T, r *running, told *notes) {
	r.store.Fail(failing("Complete", errLost))
	r.emit(2)
	synctest.Wait()
	if got, want := r.Stats(), (delivery.Stats{Unwritten: 2}); got != want {
		t.Errorf("with outcomes that cannot be written: %+v, want %+v", got, want)
	}
	if lines := told.take(); !slices.Contains(lines, "store: complete") {
		t.Errorf("the observer was told %q", lines)
	}
	r.store.Fail(nil)
	time.Sleep(10 * time.Minute)
	if got := r.Stats(); got != (delivery.Stats{}) {
		t.Errorf("at rest: %+v", got)
	}
}

func (r *running) wantPending(when string, want int64) {
	r.t.Helper()
	if n, err := r.Pending(r.t.Context()); err != nil || n != want {
		r.t.Errorf("%s: %d pending, %v, want %d", when, n, err, want)
	}
}

// TestLag has a retry wait while there is no process that could send it.
func TestLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := new(notes)
		store := flaky.New()
		away := run(t, store, newEndpoints(status(500)), func(s *delivery.Settings) { s.Retry.JitterMax = s.Retry.JitterMin })
		away.webhook("https://a.example")
		away.emit(1)
		synctest.Wait()
		away.stop()
		time.Sleep(time.Hour)
		r := runObserved(t, told, store, newEndpoints(ok))
		defer r.stop()
		time.Sleep(time.Minute)
		told.want(t, "after an hour", "late by 57m59s, slow false", "retry: success after 0s")
	})
}

func TestStoreFailures(t *testing.T) {
	told := new(notes)
	inner := flaky.New()
	s := delivery.Observed(inner, told)
	all := func(ctx context.Context) { callAll(ctx, s) }
	all(t.Context())
	told.want(t, "what is not there is no failure")
	for _, err := range []error{delivery.ErrStale, delivery.ErrConflict, delivery.ErrTooManyWebhooks, delivery.ErrTooManyEventTypes, delivery.ErrDeliveryEnded, delivery.ErrInFlight, delivery.ErrUnknownPlace, delivery.ErrReceived, delivery.ErrReceiving, delivery.ErrReplayRunning, delivery.ErrReplayLost} {
		inner.Fail(func(string) error { return err })
		all(t.Context())
		told.want(t, err.Error())
	}
	var want []string
	for _, operation := range delivery.StoreOperations() {
		want = append(want, "store: "+operation)
	}
	for _, err := range []error{delivery.ErrFull, delivery.ErrUnavailable, errors.New("lost")} {
		inner.Fail(func(string) error { return err })
		all(t.Context())
		told.want(t, err.Error(), want...)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	all(gone)
	told.want(t, "a caller who has left")
}

// callAll calls each operation of a store that can fail.
func callAll(ctx context.Context, s delivery.Store) {
	w := &delivery.Webhook{Tenant: tenant, ID: uuid.New()}
	_ = s.Open(ctx)
	_ = s.Ping(ctx, 0)
	_ = s.NoteEventTypes(ctx, tenant, []string{"a"}, time.Hour)
	s.Accept(ctx, delivery.AcceptBatch{Calls: make([]delivery.AcceptCall, 3)})
	_, _ = s.Claim(ctx, 0, delivery.Room{})
	_ = s.Complete(ctx, make([]delivery.Outcome, 1))
	_ = s.Release(ctx, nil)
	_, _, _ = s.Webhook(ctx, w.Ref())
	_ = s.CreateWebhook(ctx, w, delivery.MaxWebhooks)
	_ = s.UpdateWebhook(ctx, w, 0)
	_ = s.DeleteWebhook(ctx, w.Ref())
	_ = s.WriteAuditEntry(ctx, &delivery.AuditEntry{Tenant: tenant})
	_, _ = s.AuditEntries(ctx, tenant, delivery.AuditFilter{Limit: 1})
	_, _, _ = s.Event(ctx, tenant, w.ID)
	_, _ = s.Events(ctx, tenant, delivery.EventFilter{Limit: 1})
	_ = s.EraseEvent(ctx, tenant, w.ID)
	_, _, _ = s.AddDelivery(ctx, w.Ref(), w.ID)
	_, _ = s.Request(ctx, tenant, w.ID)
	_, _ = s.Requests(ctx, tenant, delivery.RequestFilter{Limit: 1})
	_, _, _ = s.Resend(ctx, tenant, w.ID)
	_, _ = s.Standing(ctx, tenant, nil)
	_, _ = s.Untried(ctx, w.Ref(), "")
	_, _ = s.Take(ctx, w.Ref(), w.ID, time.Second)
	_, _ = s.TakeStart(ctx, w.Ref(), false)
	if f, err := s.Follow(ctx, tenant, ""); err == nil {
		f.Close()
	}
	_, _ = s.Pending(ctx)
	_, _ = s.RequestCounts(ctx, tenant, time.Time{})
	_, _ = s.WebhookRequests(ctx, tenant, nil, time.Time{})
	_, _ = s.WebhookPending(ctx, tenant, nil)
	_, _ = s.WebhookPage(ctx, tenant, "")
	_, _ = s.WebhookChanges(ctx, tenant, 0)
	_, _, _ = s.WebhooksOf(ctx, tenant, nil)
	_, _ = s.DeclaredWebhooks(ctx)
	_ = s.CreateReplay(ctx, &delivery.Replay{Tenant: tenant}, time.Hour)
	_, _ = s.Replays(ctx, tenant)
	_, _ = s.ClaimReplays(ctx, 0, w.ID, time.Hour, 1)
	_, _ = s.SaveReplay(ctx, &delivery.Replay{Tenant: tenant}, uuid.Nil, time.Hour, time.Hour)
	_ = s.CancelReplay(ctx, tenant, uuid.Nil)
	_, _ = s.CountStored(ctx, []delivery.StoredBytes{{Tenant: tenant}}, 1, 1)
	_ = s.MarkReceived(ctx, &delivery.ReceivedMark{Guards: []delivery.Guard{{1}}, As: delivery.Receiving, For: time.Second})
	_, _ = s.Sweep(ctx, time.Hour)
}

// TestLogLines checks that each final failure has a line in the log, and that successes
// and retries have none.
func TestLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.InfoLevel)
		settings := delivery.DefaultSettings()
		settings.Retry.Attempts = 2
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		defer r.Attach(settings, zap.New(core))()
		w := r.webhook("https://a.example")
		r.emit(10)
		time.Sleep(time.Hour)
		r.sender.answerWith(status(500))
		failed := r.emit(2)
		synctest.Wait()
		if n := lines.Len(); n > 0 {
			t.Errorf("%d lines for deliveries that succeeded or are tried again: %+v", n, lines.All())
		}
		time.Sleep(time.Hour)
		var events []string
		for _, line := range lines.TakeAll() {
			fields := line.ContextMap()
			if line.Level != zapcore.WarnLevel || line.Message != "delivery failed for good" ||
				fields["tenant"] != tenant || fields["webhook_id"] != w.ID.String() || fields["attempts"] != int64(2) || fields["error"] == "" {
				t.Errorf("the line is %+v", line)
			}
			events = append(events, fmt.Sprint(fields["event_id"]))
		}
		want := []string{failed[0].EventID.String(), failed[1].EventID.String()}
		slices.Sort(events)
		slices.Sort(want)
		if !slices.Equal(events, want) {
			t.Errorf("lines for the events %v, want %v", events, want)
		}
	})
}
