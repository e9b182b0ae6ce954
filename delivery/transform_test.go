package delivery_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// bodies notes what endpoints get.
type bodies struct {
	mu     sync.Mutex
	all    []string
	signed []string
}

func (b *bodies) respond(status int) responder {
	return func(_ context.Context, m sender.Message) sender.Response {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.all = append(b.all, string(m.Body))
		b.signed = append(b.signed, strings.Join(m.Values, " "))
		return sender.Response{StatusCode: status, Body: "answered"}
	}
}

func (r *running) transform(w *delivery.Webhook, transform string) {
	r.t.Helper()
	if _, err := r.ChangeWebhook(r.t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Transform = transform }); err != nil {
		r.t.Fatal(err)
	}
}

// wantBodies compares both bodies of a row of the log, read by itself.
func (r *running) wantBodies(row *delivery.Request, request, response string) {
	r.t.Helper()
	read, err := r.Request(r.t.Context(), tenant, row.ID)
	if err != nil {
		r.t.Fatal(err)
	}
	if string(read.RequestBody) != request || (read.RequestBody == nil) != (request == "") || read.ResponseBody != response {
		r.t.Errorf("the bodies are %q and %q, want %q and %q", read.RequestBody, read.ResponseBody, request, response)
	}
}

// TestTransform changes a webhook's transform between attempts: each body is made anew, and the
// log has the one that was sent.
func TestTransform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got bodies
		r := run(t, flaky.New(), newEndpoints(got.respond(500)))
		defer r.stop()
		w := r.webhook("https://a.example")
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Secret = "s" }); err != nil {
			t.Fatal(err)
		}
		r.transform(w, `{"n": data.n, "big": data.big}`)
		if _, err := r.emitData(`{"n":1.50,"big":9007199254740993}`); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r.transform(w, `"n=" + string(data.n)`)
		time.Sleep(4 * time.Minute)
		r.transform(w, "")
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		rows := r.log()
		if len(rows) != 3 || len(got.all) != 3 {
			t.Fatalf("%d rows and %d requests", len(rows), len(got.all))
		}
		const first, second = `{"big":9007199254740993,"n":1.5}`, `"n=1.5"`
		if got.all[0] != first || got.all[1] != second || !strings.Contains(got.all[2], `"data":{"n":1.50,"big":9007199254740993}}`) {
			t.Errorf("the bodies are %q", got.all)
		}
		for i := range got.all {
			if got.signed[i] != delivery.Signature("s", []byte(got.all[i])) {
				t.Errorf("%d: the signature %s is of something else", i, got.signed[i])
			}
			r.wantBodies(&rows[i], got.all[i], "answered")
		}
		r.transform(w, `[event_type]`)
		again, err := r.Rerun(t.Context(), tenant, rows[0].ID)
		if err != nil || string(again.RequestBody) != `["alert_active"]` || again.ResponseBody != "answered" {
			t.Errorf("a re-run: %+v, %v", again, err)
		}
		r.wantBodies(again, `["alert_active"]`, "answered")
	})
}

// TestFailedTransform has one that cannot be evaluated: nothing is sent, and nothing again.
func TestFailedTransform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got bodies
		r := run(t, flaky.New(), newEndpoints(got.respond(200)))
		defer r.stop()
		w := r.webhook("https://a.example")
		r.transform(w, "data.missing")
		receipts, err := r.emitData(`{"n":1}`)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		rows := r.log()
		if len(rows) != 1 || len(got.all) != 0 {
			t.Fatalf("%d rows and %d requests", len(rows), len(got.all))
		}
		row := rows[0]
		const why = "The transform of the webhook could not be evaluated for this event: line 1, column 5: no such key: missing."
		if row.Status != delivery.RequestFailed || row.StatusCode != 0 || row.Error != why || !row.NextAttemptAt.IsZero() || row.SentHeader() != nil {
			t.Errorf("the row is %q, %+v", row.Error, row)
		}
		r.wantBodies(&row, "", "")
		if d := r.delivery(receipts[0].EventID); d.Status != delivery.DeliveryFailed || d.Attempts != 1 {
			t.Errorf("the delivery is %+v", d)
		}
		r.transform(w, "data.n")
		if again, err := r.Rerun(t.Context(), tenant, row.ID); err != nil || string(again.RequestBody) != "1" {
			t.Errorf("a re-run: %+v, %v", again, err)
		}
	})
}
