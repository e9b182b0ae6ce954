package delivery_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

func TestRerun(t *testing.T) {
	tests := []struct {
		name     string
		before   int // what the first attempt was answered
		rerun    int
		want     delivery.RequestStatus
		delivery delivery.DeliveryStatus
		attempts int // an hour later
	}{
		{"success ends a pending delivery", 500, 200, delivery.RequestSuccess, delivery.DeliverySuccess, 1},
		{"failure leaves the schedule", 500, 404, delivery.RequestFailed, delivery.DeliveryFailed, 3},
		{"of a success", 200, 200, delivery.RequestSuccess, delivery.DeliverySuccess, 1},
		{"of a success, failing", 200, 500, delivery.RequestFailed, delivery.DeliverySuccess, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, flaky.New(), newEndpoints(status(tt.before)))
				defer r.stop()
				w := r.webhook("https://a.example")
				event := r.emit(1)[0].EventID
				synctest.Wait()
				first := r.log()[0]
				r.sender.answerWith(status(tt.rerun))
				again, err := r.Rerun(t.Context(), tenant, first.ID)
				if err != nil {
					t.Fatal(err)
				}
				if again.Status != tt.want || again.Trigger != delivery.TriggerRerun || again.Attempt != 0 ||
					again.EventID != event || again.WebhookID != w.ID || again.StatusCode != tt.rerun ||
					!again.NextAttemptAt.IsZero() || len(again.RequestBody) == 0 {
					t.Errorf("re-run %+v", again)
				}
				stored, err := r.Request(t.Context(), tenant, again.ID)
				if err != nil || stored.Status != again.Status {
					t.Errorf("the log has %+v, %v", stored, err)
				}
				r.sender.answerWith(status(tt.before))
				time.Sleep(time.Hour)
				if d := r.delivery(event); d.Status != tt.delivery || d.Attempts != tt.attempts {
					t.Errorf("delivery %+v, want %s after %d", d, tt.delivery, tt.attempts)
				}
			})
		})
	}
}

func TestRerunThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		w := r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		row := r.log()[0]
		expect := func(what, tenant string, id uuid.UUID, want error) {
			t.Helper()
			if _, err := r.Rerun(t.Context(), tenant, id); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		expect("unknown", tenant, uuid.New(), delivery.ErrNotFound)
		expect("another tenant's", "other", row.ID, delivery.ErrNotFound)
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
			t.Fatal(err)
		}
		expect("disabled", tenant, row.ID, delivery.ErrWebhookDisabled)
		if err := r.DeleteWebhook(t.Context(), w.Ref()); err != nil {
			t.Fatal(err)
		}
		expect("deleted", tenant, row.ID, delivery.ErrNotFound)
		if n := r.sender.count(); n != 1 {
			t.Errorf("%d requests sent", n)
		}
	})
}

func TestRerunOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		r.sender.answerWith(after(5 * time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.Rerun(ctx, tenant, r.log()[0].ID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("re-run: %v", err)
		}
		time.Sleep(10 * time.Second)
		if n := len(r.log()); n != 2 {
			t.Errorf("%d rows, want 2: a request must be logged although its caller has left", n)
		}
	})
}

func TestTestEvent(t *testing.T) {
	for _, code := range []int{200, 500} {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, flaky.New(), newEndpoints(status(code)))
			defer r.stop()
			w := r.webhook("https://a.example")
			r.webhook("https://other.example")
			row, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "device_created", Data: []byte(`{"id":1}`)})
			if err != nil {
				t.Fatal(err)
			}
			if row.Trigger != delivery.TriggerTest || row.Attempt != 0 || row.EventType != "device_created" {
				t.Errorf("test %+v", row)
			}
			time.Sleep(time.Hour)
			if n := r.sender.count(); n != 1 {
				t.Errorf("%d requests for a test", n)
			}
			d := r.delivery(row.EventID)
			if d.Attempts != 0 || (code == 200) != (d.Status == delivery.DeliverySuccess) || d.Status == delivery.DeliveryPending {
				t.Errorf("delivery after %d: %+v", code, d)
			}
			if _, err := r.Rerun(t.Context(), tenant, row.ID); err != nil {
				t.Errorf("re-run of a test: %v", err)
			}
			if _, err := r.Test(t.Context(), "other", w.ID, delivery.NewEvent{Type: "a", Data: []byte(`{}`)}); !errors.Is(err, delivery.ErrNotFound) {
				t.Errorf("test of another tenant's webhook: %v", err)
			}
		})
	}
}

func TestManualSendsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		row := r.log()[0].ID
		r.sender.answerWith(after(time.Second))
		busy := 0
		results := make(chan error)
		for range 100 {
			go func() {
				_, err := r.Rerun(t.Context(), tenant, row)
				results <- err
			}()
		}
		for range 100 {
			if err := <-results; errors.Is(err, delivery.ErrBusy) {
				busy++
			} else if err != nil {
				t.Error(err)
			}
		}
		if busy == 0 || busy == 100 {
			t.Errorf("%d of 100 re-runs at once were refused", busy)
		}
	})
}

// A re-run counts until its outcome is written, so that outcomes that wait are bounded.
func TestManualSendsAreBoundedWhileOutcomesCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		row := r.log()[0].ID
		r.store.Fail(failing("Complete", errLost))
		const calls = 500
		for range calls {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if _, err := r.Rerun(ctx, tenant, row); err == nil {
				t.Error("a re-run that is not in the log was answered")
			}
			cancel()
		}
		if n := r.sender.count() - 1; n == 0 || n == calls {
			t.Errorf("%d of %d requests were sent although their outcomes cannot be written", n, calls)
		}
		r.store.Fail(nil)
		time.Sleep(10 * time.Second)
		if sent, logged := r.sender.count(), len(r.log()); sent != logged {
			t.Errorf("%d sent and %d logged", sent, logged)
		}
	})
}

// A test that is refused stores no event.
func TestRefusedTestStoresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(hang))
		defer r.stop()
		w := r.webhook("https://a.example")
		other := *w
		other.Tenant = "other"
		created, err := r.CreateWebhook(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		webhooks := map[string]uuid.UUID{tenant: w.ID, other.Tenant: created.ID}
		example := func(tenant string, id uuid.UUID) error {
			_, err := r.Test(t.Context(), tenant, webhooks[tenant], delivery.NewEvent{ID: id, Type: "a", Data: []byte(`{}`)})
			return err
		}
		start := func(tenant string) {
			if err := example(tenant, uuid.New()); err != nil {
				t.Error(err)
			}
		}
		for range delivery.MaxTenantSendNow {
			go start(tenant)
		}
		synctest.Wait()
		go start(other.Tenant) // which has a limit of its own
		id := uuid.New()
		if err := example(tenant, id); !errors.Is(err, delivery.ErrBusy) {
			t.Errorf("a test beyond the limit: %v", err)
		}
		if _, _, err := r.Event(t.Context(), tenant, id); !errors.Is(err, delivery.ErrNotFound) {
			t.Errorf("its event: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

// TestFailureIsText has a failure quote bytes that are not text: rows are sent as JSON.
func TestFailureIsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(func(context.Context, sender.Message) sender.Response {
			return sender.Response{Failure: "the name \xc3 has no address"}
		}))
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		if got, want := r.log()[0].Error, "the name \ufffd has no address"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
