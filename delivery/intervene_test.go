package delivery_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// failsThenHangs answers the first request with 500, and each other one after a second.
func failsThenHangs() responder {
	first := true
	return func(ctx context.Context, m sender.Message) sender.Response {
		if first {
			first = false
			return sender.Response{StatusCode: 500}
		}
		return after(time.Second)(ctx, m)
	}
}

// TestStopAfterCancel stops an engine that has canceled a delivery while a request is in flight: it
// waits for the request.
func TestStopAfterCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(failsThenHangs()))
		w := r.webhook("https://example.com/")
		event := r.emit(1)[0].EventID
		synctest.Wait()
		if err := r.CancelDelivery(t.Context(), w.Ref(), event); err != nil {
			t.Fatal(err)
		}
		if d := r.delivery(event); d.Status != delivery.DeliveryFailed || d.Attempts != 2 {
			t.Errorf("the canceled delivery is %+v", d)
		}
		time.Sleep(time.Second)
		r.emit(1)
		synctest.Wait()
		r.detach()
		rows := r.log()
		if last := rows[len(rows)-1]; last.Status != delivery.RequestSuccess {
			t.Errorf("after the stop, the request that was in flight is %+v", last)
		}
		r.stop()
	})
}

// TestCanceledRequest looks at the row of a canceled delivery: nothing was sent. The delivery has
// failed, whoever counts that.
func TestCanceledRequest(t *testing.T) {
	for _, transform := range []string{"", "data"} {
		synctest.Test(t, func(t *testing.T) {
			told := new(notes)
			r := runObserved(t, told, flaky.New(), newEndpoints(status(500)))
			defer r.stop()
			w := r.webhook("https://example.com/")
			r.change(func(w *delivery.Webhook) { w.Transform = transform })
			event := r.emit(1)[0].EventID
			synctest.Wait()
			told.take()
			time.Sleep(time.Millisecond) // so that the log has it last
			if err := r.CancelDelivery(t.Context(), w.Ref(), event); err != nil {
				t.Fatal(err)
			}
			told.want(t, "after it was canceled", "failed for good")
			rows := r.log()
			for i, sent := range []bool{true, false} {
				row, err := r.Request(t.Context(), tenant, rows[i].ID)
				if err != nil {
					t.Fatal(err)
				}
				if (row.RequestBody != nil) != sent || (row.SentHeader() != nil) != sent || row.Attempt != i+1 || row.MaxAttempts != 3 {
					t.Errorf("transform %q: row %d is %+v", transform, i, row)
				}
			}
			if again, err := r.Rerun(t.Context(), tenant, rows[1].ID); err != nil || len(again.RequestBody) == 0 {
				t.Errorf("run again as %+v, %v", again, err)
			}
		})
	}
}
