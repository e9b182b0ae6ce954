package delivery_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

func TestDetachHandsBackWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		first := run(t, store, newEndpoints(hang))
		first.webhook("https://a.example")
		event := first.emit(1)[0].EventID
		synctest.Wait()
		first.stop()

		second := run(t, store, newEndpoints(ok))
		defer second.stop()
		synctest.Wait()
		if n := len(second.sender.to("https://a.example")); n != 1 {
			t.Errorf("the next process sent %d requests at once, want 1", n)
		}
		if d := second.delivery(event); d.Attempts != 1 || d.Status != delivery.DeliverySuccess {
			t.Errorf("delivery %+v: an interrupted request must not count as an attempt", d)
		}
		rows := second.log()
		if len(rows) != 2 {
			t.Fatalf("%d rows, want 2: an interrupted request must be logged, too", len(rows))
		}
		if r := rows[0]; r.Status != delivery.RequestFailed || r.Attempt != 1 || r.Error == "" || !r.NextAttemptAt.IsZero() {
			t.Errorf("the row of the interrupted request is %+v", r)
		}
	})
}

// TestStoppedRerun detaches the engine while a re-run and a test are under way.
func TestStoppedRerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		r := run(t, store, newEndpoints(status(500)))
		w := r.webhook("https://a.example")
		event := r.emit(1)[0].EventID
		synctest.Wait()
		failed := r.log()[0].ID
		r.sender.answerWith(hang)
		var all sync.WaitGroup
		for _, send := range []func() (*delivery.Request, error){
			func() (*delivery.Request, error) { return r.Rerun(t.Context(), tenant, failed) },
			func() (*delivery.Request, error) {
				return r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "a", Data: []byte(`{}`)})
			},
		} {
			all.Go(func() {
				if row, err := send(); err != nil || row.Status != delivery.RequestFailed || row.Error == "" {
					t.Errorf("got %+v, %v", row, err)
				}
			})
		}
		synctest.Wait()
		r.detach()
		all.Wait()
		if d := r.delivery(event); d.Attempts != 1 || d.Status != delivery.DeliveryPending {
			t.Errorf("the delivery is %+v", d)
		}
		rows := r.log()
		if len(rows) != 3 {
			t.Fatalf("%d rows", len(rows))
		}
		for _, row := range rows[1:] {
			if d := r.delivery(row.EventID); row.Trigger == delivery.TriggerTest && d.Status != delivery.DeliveryFailed {
				t.Errorf("the test is %+v", d)
			}
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestDetachLetsRequestsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(after(2*time.Second)))
		r.webhook("https://a.example")
		event := r.emit(1)[0].EventID
		synctest.Wait()
		r.detach()
		if d := r.delivery(event); d.Status != delivery.DeliverySuccess {
			t.Errorf("delivery %+v", d)
		}
		r.emit(1) // is accepted, and left for other processes to deliver
		time.Sleep(time.Minute)
		if n := len(r.log()); n != 1 {
			t.Errorf("%d requests after the last detach", n-1)
		}
		detach := r.Attach(delivery.DefaultSettings(), nopLog)
		synctest.Wait()
		time.Sleep(3 * time.Second)
		if n := len(r.log()); n != 2 {
			t.Errorf("%d of 2 delivered after the engine was attached again", n)
		}
		detach()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestNewestAttachedSettingsWin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(status(500)))
		r.webhook("https://a.example")
		attempts := func(n int) delivery.Settings {
			s := delivery.DefaultSettings()
			s.Retry.Attempts = n
			return s
		}
		emitted := func() int {
			before := r.sender.count()
			r.emit(1)
			time.Sleep(time.Hour)
			return r.sender.count() - before
		}
		if n := emitted(); n != 3 {
			t.Errorf("%d attempts, want 3", n)
		}
		newer := r.Attach(attempts(5), nopLog)
		if n := emitted(); n != 5 {
			t.Errorf("%d attempts after the reload, want 5", n)
		}
		newer() // the reload was rolled back
		newer()
		if n := emitted(); n != 3 {
			t.Errorf("%d attempts after the roll-back, want 3", n)
		}
		newer = r.Attach(attempts(2), nopLog)
		r.detach() // a reload detaches the old configuration last
		if n := emitted(); n != 2 {
			t.Errorf("%d attempts with the old configuration gone, want 2", n)
		}
		newer()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
