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
