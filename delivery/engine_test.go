package delivery_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/memory"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

const tenant = "default"

// endpoints is a Sender whose answers the test decides.
type endpoints struct {
	mu       sync.Mutex
	answer   func(ctx context.Context, m sender.Message) sender.Response
	sent     []sent
	inFlight map[string]int
	most     map[string]int // in flight at a time, by URL
}

type sent struct {
	url string
	at  time.Time
}

func newEndpoints(answer func(context.Context, sender.Message) sender.Response) *endpoints {
	return &endpoints{answer: answer, inFlight: make(map[string]int), most: make(map[string]int)}
}

func (e *endpoints) Send(ctx context.Context, m sender.Message) sender.Response {
	e.mu.Lock()
	e.sent = append(e.sent, sent{m.URL, time.Now()})
	e.inFlight[m.URL]++
	e.most[m.URL] = max(e.most[m.URL], e.inFlight[m.URL])
	answer := e.answer
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.inFlight[m.URL]--
		e.mu.Unlock()
	}()
	return answer(ctx, m)
}

func (e *endpoints) Close() {}

func (e *endpoints) answerWith(answer func(context.Context, sender.Message) sender.Response) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

// count is how many requests were sent.
func (e *endpoints) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sent)
}

// atMost is how many requests to a URL were in flight at a time since the last
// question.
func (e *endpoints) atMost(url string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	most := e.most[url]
	e.most[url] = 0
	return most
}

// to lists when requests went to a URL.
func (e *endpoints) to(url string) (at []time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sent {
		if s.url == url {
			at = append(at, s.at)
		}
	}
	return at
}

func ok(context.Context, sender.Message) sender.Response {
	return sender.Response{StatusCode: 200}
}

func status(code int) func(context.Context, sender.Message) sender.Response {
	return func(context.Context, sender.Message) sender.Response {
		return sender.Response{StatusCode: code}
	}
}

// hang answers like an endpoint that does not.
func hang(ctx context.Context, m sender.Message) sender.Response {
	select {
	case <-time.After(m.Timeout):
	case <-ctx.Done():
	}
	return sender.Response{Failure: "no complete response", TimedOut: ctx.Err() == nil}
}

// after answers 200 after a while.
func after(d time.Duration) func(context.Context, sender.Message) sender.Response {
	return func(ctx context.Context, _ sender.Message) sender.Response {
		select {
		case <-time.After(d):
			return sender.Response{StatusCode: 200}
		case <-ctx.Done():
			return sender.Response{Failure: "broken off"}
		}
	}
}

// running is an engine on a store in memory, under the test's clock.
type running struct {
	*delivery.Engine
	t      *testing.T
	store  *memory.Store
	sender *endpoints
	detach func()
}

var nopLog = zap.NewNop()

func run(t *testing.T, store *memory.Store, sender *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	return runOn(t, store, store, sender, change...)
}

// runOn runs an engine on a store that stands before the one in memory.
func runOn(t *testing.T, front delivery.Store, store *memory.Store, sender *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	return runEngine(t, delivery.NewEngine(front), store, sender, change...)
}

func runEngine(t *testing.T, engine *delivery.Engine, store *memory.Store, sender *endpoints, change ...func(*delivery.Settings)) *running {
	t.Helper()
	s := delivery.DefaultSettings()
	for _, c := range change {
		c(&s)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	r := &running{Engine: engine, t: t, store: store, sender: sender}
	r.SendWith(sender)
	r.detach = r.Attach(s, nopLog)
	synctest.Wait()
	return r
}

func (r *running) stop() {
	r.t.Helper()
	r.detach()
	if err := r.Close(r.t.Context()); err != nil {
		r.t.Error(err)
	}
}

func (r *running) webhook(url string) *delivery.Webhook {
	r.t.Helper()
	w, err := r.CreateWebhook(r.t.Context(), delivery.Webhook{
		Tenant: tenant, URL: url, Enabled: true, EventTypes: []string{delivery.AllEventTypes},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

func (r *running) emit(n int) []delivery.Receipt {
	r.t.Helper()
	events := make([]delivery.NewEvent, n)
	for i := range events {
		events[i] = delivery.NewEvent{Type: "alert_active", Data: []byte(`{}`)}
	}
	receipts, err := r.Emit(r.t.Context(), tenant, events)
	if err != nil {
		r.t.Fatal(err)
	}
	return receipts
}

// log reads the whole log, oldest first.
func (r *running) log() []delivery.Request {
	r.t.Helper()
	page, err := r.Requests(r.t.Context(), tenant, delivery.RequestFilter{Limit: 100_000})
	if err != nil {
		r.t.Fatal(err)
	}
	rows := page.Requests
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows
}

func (r *running) delivery(event uuid.UUID) delivery.Delivery {
	r.t.Helper()
	_, deliveries, err := r.Event(r.t.Context(), tenant, event)
	if err != nil || len(deliveries) != 1 {
		r.t.Fatalf("event %s: %d deliveries, %v", event, len(deliveries), err)
	}
	return deliveries[0]
}

func TestFreshEventsNeedNoClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		before, began := r.store.Calls("Claim"), time.Now()
		receipt := r.emit(1)[0]
		synctest.Wait()
		if receipt.Deliveries != 1 || receipt.Duplicate {
			t.Errorf("receipt %+v", receipt)
		}
		at := r.sender.to("https://a.example")
		if len(at) != 1 || !at[0].Equal(began) {
			t.Errorf("sent at %v, want once, at %v: a fresh event waits for no timer", at, began)
		}
		if n := r.store.Calls("Claim") - before; n != 0 {
			t.Errorf("%d claims for an event that found a free slot", n)
		}
		if d := r.delivery(receipt.EventID); d.Status != delivery.DeliverySuccess || d.Attempts != 1 {
			t.Errorf("delivery %+v", d)
		}
	})
}

func TestRetrySchedule(t *testing.T) {
	tests := []struct {
		name     string
		attempts int
		answers  []int
		final    delivery.DeliveryStatus
	}{
		{"all fail", 3, []int{500, 404, 302}, delivery.DeliveryFailed},
		{"the last succeeds", 3, []int{500, 503, 204}, delivery.DeliverySuccess},
		{"the second succeeds", 3, []int{500, 200}, delivery.DeliverySuccess},
		{"one attempt", 1, []int{500}, delivery.DeliveryFailed},
		{"many", 7, []int{500, 500, 500, 500, 500, 500, 500}, delivery.DeliveryFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n int
				r := run(t, memory.New(), newEndpoints(func(context.Context, sender.Message) sender.Response {
					n++
					return sender.Response{StatusCode: tt.answers[n-1]}
				}), func(s *delivery.Settings) { s.Retry.Attempts = tt.attempts })
				defer r.stop()
				r.webhook("https://a.example")
				event := r.emit(1)[0].EventID
				time.Sleep(time.Hour)
				synctest.Wait()

				at := r.sender.to("https://a.example")
				if len(at) != len(tt.answers) {
					t.Fatalf("%d requests, want %d", len(at), len(tt.answers))
				}
				for i := 1; i < len(at); i++ {
					wait := at[i].Sub(at[i-1])
					// The store knows milliseconds; the schedule may round by one.
					if low, high := 121*time.Second, 180*time.Second+time.Millisecond; wait < low || wait > high {
						t.Errorf("attempt %d came %s after the one before, want %s to %s", i+1, wait, low, high)
					}
				}
				rows := r.log()
				for i, row := range rows {
					want := delivery.TriggerRetry
					if i == 0 {
						want = delivery.TriggerEvent
					}
					last := i == len(rows)-1
					if row.Trigger != want || row.Attempt != i+1 || row.MaxAttempts != tt.attempts ||
						row.StatusCode != tt.answers[i] || row.NextAttemptAt.IsZero() != last {
						t.Errorf("row %d: %+v", i, row)
					}
					if !last && !row.NextAttemptAt.Equal(rows[i+1].StartedAt()) {
						t.Errorf("attempt %d was promised at %v and began at %v", i+2, row.NextAttemptAt, rows[i+1].StartedAt())
					}
				}
				if d := r.delivery(event); d.Status != tt.final || d.Attempts != len(tt.answers) || !d.NextAttemptAt.IsZero() {
					t.Errorf("delivery %+v, want %s", d, tt.final)
				}
			})
		})
	}
}

func TestHangingEndpointsDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(func(ctx context.Context, m sender.Message) sender.Response {
			if m.URL == "https://healthy.example" {
				return ok(ctx, m)
			}
			return hang(ctx, m)
		}))
		defer r.stop()
		for i := range 16 {
			r.webhook(fmt.Sprintf("https://hang%d.example", i))
		}
		r.webhook("https://healthy.example")
		for range 200 {
			began := time.Now()
			r.emit(3)
			synctest.Wait()
			at := r.sender.to("https://healthy.example")
			if got := at[len(at)-1]; !got.Equal(began) {
				t.Fatalf("the healthy endpoint waited %s", got.Sub(began))
			}
			time.Sleep(300 * time.Millisecond)
		}
		if n := len(r.sender.to("https://healthy.example")); n != 600 {
			t.Errorf("%d of 600 events delivered to the healthy endpoint", n)
		}
		for i := range 16 {
			url := fmt.Sprintf("https://hang%d.example", i)
			if most := r.sender.atMost(url); most > delivery.FirstWindow {
				t.Errorf("%s had %d requests in flight", url, most)
			}
		}
	})
}

func TestSlowWebhookGoesOneAtATimeUntilItAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const url = "https://a.example"
		r := run(t, memory.New(), newEndpoints(hang))
		defer r.stop()
		r.webhook(url)
		r.emit(100)
		time.Sleep(30 * time.Second) // every one of the first window timed out
		r.sender.atMost(url)
		time.Sleep(time.Minute)
		synctest.Wait()
		if most := r.sender.atMost(url); most != 1 {
			t.Errorf("%d requests in flight to a webhook that does not answer, want 1", most)
		}
		r.sender.answerWith(after(10 * time.Millisecond))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if most := r.sender.atMost(url); most <= delivery.FirstWindow {
			t.Errorf("at most %d in flight after it recovered", most)
		}
		failed := 0
		for _, row := range r.log() {
			if row.Status == delivery.RequestFailed {
				failed++
			}
		}
		if n := len(r.log()) - failed; n != 100 {
			t.Errorf("%d of 100 delivered in the end", n)
		}
	})
}

func TestConcurrencyLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(after(500*time.Millisecond)), func(s *delivery.Settings) {
			s.Concurrency, s.ConcurrencyPerWebhook = 20, 8
		})
		defer r.stop()
		for i := range 5 {
			r.webhook(fmt.Sprintf("https://%d.example", i))
		}
		r.emit(500)
		for range 40 {
			time.Sleep(10 * time.Second)
			total := 0
			r.sender.mu.Lock()
			for url, most := range r.sender.most {
				if most > 8 {
					t.Errorf("%s had %d requests in flight", url, most)
				}
				total += r.sender.inFlight[url]
			}
			r.sender.mu.Unlock()
			if total > 20 {
				t.Errorf("%d requests in flight", total)
			}
		}
		if n := len(r.log()); n != 2500 {
			t.Errorf("%d of 2500 delivered", n)
		}
	})
}

func TestIdleEngineHardlyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.emit(1)
		time.Sleep(time.Minute)
		before := r.store.Calls("Claim")
		time.Sleep(time.Hour)
		if n := r.store.Calls("Claim") - before; n > 3600/5+1 {
			t.Errorf("%d claims in an idle hour, want one in 5 s at most", n)
		}
	})
}

func TestStaleSubscriptionsAreChosenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, sender := memory.New(), newEndpoints(ok)
		a, b := run(t, store, sender), run(t, store, sender)
		defer a.stop()
		defer b.stop()
		w := a.webhook("https://a.example")
		if n := b.emit(1)[0].Deliveries; n != 1 {
			t.Fatalf("%d deliveries", n)
		}
		a.webhook("https://b.example") // b remembers the set without it
		if n := b.emit(1)[0].Deliveries; n != 2 {
			t.Errorf("%d deliveries after a webhook was added elsewhere, want 2", n)
		}
		if err := a.DeleteWebhook(t.Context(), w.Ref()); err != nil {
			t.Fatal(err)
		}
		if n := b.emit(1)[0].Deliveries; n != 1 {
			t.Errorf("%d deliveries after a webhook was deleted elsewhere, want 1", n)
		}
		if _, err := a.ChangeWebhook(t.Context(), a.onlyWebhook().Ref(), func(w *delivery.Webhook) { w.Enabled = false }); err != nil {
			t.Fatal(err)
		}
		if n := b.emit(1)[0].Deliveries; n != 0 {
			t.Errorf("%d deliveries to a disabled webhook", n)
		}
	})
}

func (r *running) onlyWebhook() *delivery.Webhook {
	r.t.Helper()
	all, err := r.Webhooks(r.t.Context(), tenant)
	if err != nil || len(all) != 1 {
		r.t.Fatalf("%d webhooks, %v", len(all), err)
	}
	return all[0]
}

func TestDisabledWebhookWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(status(500)))
		defer r.stop()
		w := r.webhook("https://a.example")
		event := r.emit(1)[0].EventID
		synctest.Wait()
		enable := func(on bool) {
			if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Enabled = on }); err != nil {
				t.Fatal(err)
			}
		}
		enable(false)
		time.Sleep(24 * time.Hour)
		if n := len(r.sender.to(w.URL)); n != 1 {
			t.Fatalf("%d requests to a disabled webhook", n-1)
		}
		if d := r.delivery(event); d.Status != delivery.DeliveryPending || d.Attempts != 1 {
			t.Errorf("delivery of a disabled webhook: %+v", d)
		}
		r.sender.answerWith(ok)
		enabled := time.Now()
		enable(true)
		synctest.Wait()
		at := r.sender.to(w.URL)
		if len(at) != 2 || !at[1].Equal(enabled) {
			t.Errorf("requests at %v, want the second at once when it was enabled at %v", at, enabled)
		}
		if d := r.delivery(event); d.Status != delivery.DeliverySuccess || d.Attempts != 2 {
			t.Errorf("delivery %+v", d)
		}
	})
}

func TestRetriesUseTheChangedWebhook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(status(500)))
		defer r.stop()
		w := r.webhook("https://old.example")
		r.emit(1)
		synctest.Wait()
		if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.URL = "https://new.example" }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if a, b := len(r.sender.to("https://old.example")), len(r.sender.to("https://new.example")); a != 1 || b != 2 {
			t.Errorf("%d requests to the old URL and %d to the new one, want 1 and 2", a, b)
		}
	})
}
