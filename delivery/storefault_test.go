package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/memory"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

var errLost = errors.New("connection lost")

// failing makes one operation fail while on.
func failing(op string, err error) func(string) error {
	return func(called string) error {
		if called == op {
			return err
		}
		return nil
	}
}

func TestStoreThatIsAwayAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
		store.Fail(failing("Open", errors.New("nobody there")))
		r := run(t, store, newEndpoints(ok))
		defer r.stop()
		time.Sleep(time.Hour)
		if _, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}}); !errors.Is(err, delivery.ErrUnavailable) {
			t.Errorf("emit: %v", err)
		}
		if err := r.Health(t.Context()); err == nil {
			t.Error("healthy without a store")
		}
		store.Fail(nil)
		time.Sleep(10 * time.Second)
		if err := r.Health(t.Context()); err != nil {
			t.Errorf("after the store came: %v", err)
		}
		r.webhook("https://a.example")
		r.emit(1)
		synctest.Wait()
		if n := len(r.log()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestAcceptWithUnknownOutcomeIsRepeated(t *testing.T) {
	tests := []struct {
		name   string
		stored bool // the first try was carried out, only its answer was lost
	}{
		{"carried out", true},
		{"not carried out", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &lossy{Store: memory.New(), carryOut: tt.stored}
				endpoints := newEndpoints(ok)
				r := runOn(t, store, store.Store, endpoints)
				defer r.stop()
				r.webhook("https://a.example")
				store.lose(1)
				receipt := r.emit(1)[0]
				if receipt.Duplicate || receipt.Deliveries != 1 {
					t.Errorf("receipt %+v", receipt)
				}
				time.Sleep(time.Minute) // until the lease of the lost try has ended
				synctest.Wait()
				if n := len(endpoints.to("https://a.example")); n != 1 {
					t.Errorf("sent %d times", n)
				}
			})
		})
	}
}

// As when Redis restarts: the connection breaks and then, for a while, nobody is
// there. What may have been stored is asked about until it is known.
func TestAcceptWithUnknownOutcomeWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lossy{Store: memory.New(), carryOut: true}
		endpoints := newEndpoints(ok)
		r := runOn(t, store, store.Store, endpoints)
		defer r.stop()
		r.webhook("https://a.example")
		store.lose(1)
		time.AfterFunc(time.Millisecond, func() { store.Fail(failing("Accept", delivery.ErrUnavailable)) })
		time.AfterFunc(time.Second, func() { store.Fail(nil) })
		if receipt := r.emit(1)[0]; receipt.Deliveries != 1 || receipt.Duplicate {
			t.Errorf("receipt %+v", receipt)
		}
		time.Sleep(time.Minute)
		if n := endpoints.count(); n != 1 {
			t.Errorf("sent %d times", n)
		}

		store.lose(1)
		time.AfterFunc(time.Millisecond, func() { store.Fail(failing("Accept", delivery.ErrUnavailable)) })
		_, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
		if err == nil || errors.Is(err, delivery.ErrUnavailable) {
			t.Errorf("%v: that would promise that nothing was written", err)
		}
		store.Fail(nil)
	})
}

func TestAcceptThatFails(t *testing.T) {
	for _, err := range []error{delivery.ErrFull, delivery.ErrUnavailable, errLost} {
		t.Run(err.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, memory.New(), newEndpoints(ok))
				defer r.stop()
				r.webhook("https://a.example")
				r.store.Fail(failing("Accept", err))
				_, got := r.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
				if !errors.Is(got, err) {
					t.Errorf("emit: %v, want %v", got, err)
				}
				r.store.Fail(nil)
				for range 100 { // the slots of what failed are free again
					r.emit(1)
					synctest.Wait()
				}
				if n := len(r.sender.to("https://a.example")); n != 100 {
					t.Errorf("sent %d of 100", n)
				}
			})
		})
	}
}

func TestNothingIsSentWhileOutcomesCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(ok))
		defer r.stop()
		r.webhook("https://a.example")
		r.store.Fail(failing("Complete", errLost))
		r.emit(1)
		time.Sleep(2 * time.Second)
		before := r.sender.count()
		r.emit(50)
		time.Sleep(10 * time.Second)
		if n := r.sender.count() - before; n != 0 {
			t.Errorf("%d requests sent whose outcomes could not be written", n)
		}
		r.store.Fail(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := r.sender.count(); n != 51 {
			t.Errorf("%d requests for 51 events", n)
		}
		if n := len(r.log()); n != 51 {
			t.Errorf("%d rows for 51 events", n)
		}
	})
}

func TestClaimFailuresEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(ok), func(s *delivery.Settings) { s.ConcurrencyPerWebhook = 1 })
		defer r.stop()
		r.webhook("https://a.example")
		r.store.Fail(failing("Claim", errLost))
		r.emit(10)
		time.Sleep(time.Minute)
		if n := r.store.Calls("Claim"); n > 60 {
			t.Errorf("%d claims in a minute of failures", n)
		}
		r.store.Fail(nil)
		time.Sleep(10 * time.Second)
		if n := len(r.log()); n != 10 {
			t.Errorf("%d of 10 delivered", n)
		}
	})
}

func TestDetachHandsBackWhatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
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
			t.Errorf("delivery %+v: an interrupted request is no attempt", d)
		}
		rows := second.log()
		if len(rows) != 2 {
			t.Fatalf("%d rows: what was sent is logged, also if it was broken off", len(rows))
		}
		if r := rows[0]; r.Status != delivery.RequestFailed || r.Attempt != 1 || r.Error == "" || !r.NextAttemptAt.IsZero() {
			t.Errorf("the row of what was broken off is %+v", r)
		}
	})
}

// TestStoppedRerun stops while a re-run and a test are under way.
func TestStoppedRerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.New()
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
		r := run(t, memory.New(), newEndpoints(after(2*time.Second)))
		r.webhook("https://a.example")
		event := r.emit(1)[0].EventID
		synctest.Wait()
		r.detach()
		if d := r.delivery(event); d.Status != delivery.DeliverySuccess {
			t.Errorf("delivery %+v", d)
		}
		r.emit(1) // accepted, for others to deliver
		time.Sleep(time.Minute)
		if n := len(r.log()); n != 1 {
			t.Errorf("%d requests after the last detach", n-1)
		}
		detach := r.Attach(delivery.DefaultSettings(), nopLog)
		synctest.Wait()
		time.Sleep(3 * time.Second)
		if n := len(r.log()); n != 2 {
			t.Errorf("%d of 2 delivered after a new attach", n)
		}
		detach()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestNewestAttachedSettingsWin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, memory.New(), newEndpoints(status(500)))
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
		r.detach() // the usual order of a reload
		if n := emitted(); n != 2 {
			t.Errorf("%d attempts with the old configuration gone, want 2", n)
		}
		newer()
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Several processes share a store; endpoints fail and hang at random, the store
// loses answers, processes die. Nothing that was accepted is lost, and no
// delivery has two attempts at a time.
func TestManyProcessesLoseNothing(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { manyProcesses(t, rand.New(rand.NewPCG(seed, seed))) })
		})
	}
}

func manyProcesses(t *testing.T, random *rand.Rand) {
	var lock sync.Mutex
	float := func() float64 {
		lock.Lock()
		defer lock.Unlock()
		return random.Float64()
	}
	inFlight := make(map[string]bool)
	endpoints := newEndpoints(func(ctx context.Context, m sender.Message) sender.Response {
		key := m.URL + string(m.Body)
		lock.Lock()
		if inFlight[key] {
			t.Errorf("two requests of one delivery at a time")
		}
		inFlight[key] = true
		lock.Unlock()
		defer func() {
			lock.Lock()
			delete(inFlight, key)
			lock.Unlock()
		}()
		switch f := float(); {
		case f < 0.05:
			return hang(ctx, m)
		case f < 0.3:
			return status(503)(ctx, m)
		default:
			return after(time.Duration(float()*float64(2*time.Second)))(ctx, m)
		}
	})
	store := memory.New()
	store.Fail(func(op string) error {
		if op != "Open" && op != "CreateWebhook" && op != "Close" && float() < 0.02 {
			return errLost
		}
		return nil
	})
	few := limits(12, 5)
	processes := []*running{run(t, store, endpoints, few), run(t, store, endpoints, few), run(t, store, endpoints, few)}
	for i := range 4 {
		processes[0].webhook(fmt.Sprintf("https://%d.example", i))
	}
	var accepted []uuid.UUID
	for range 120 {
		p := processes[int(float()*float64(len(processes)))]
		receipts, err := p.Emit(t.Context(), tenant, []delivery.NewEvent{{Type: "a", Data: []byte(`{}`)}})
		if err == nil {
			accepted = append(accepted, receipts[0].EventID)
		}
		time.Sleep(time.Duration(float() * float64(200*time.Millisecond)))
		if float() < 0.02 { // a process ends, another begins
			i := int(float() * float64(len(processes)))
			processes[i].stop()
			processes[i] = run(t, store, endpoints, few)
		}
	}
	time.Sleep(20 * time.Minute)
	store.Fail(nil)
	time.Sleep(20 * time.Minute)
	for _, id := range accepted {
		_, deliveries, err := processes[0].Event(t.Context(), tenant, id)
		if err != nil || len(deliveries) != 4 {
			t.Fatalf("event %s: %d deliveries, %v", id, len(deliveries), err)
		}
		for _, d := range deliveries {
			if d.Status == delivery.DeliveryPending {
				t.Errorf("event %s: delivery %+v", id, d)
			}
		}
	}
	for _, p := range processes {
		p.stop()
	}
}

// cluttered is a store that cannot remove what it should, of which there is more.
type cluttered struct {
	*memory.Store
	sweeps atomic.Int64
}

func (s *cluttered) Sweep(context.Context, time.Duration) (bool, error) {
	s.sweeps.Add(1)
	return true, delivery.ErrFull
}

// TestSweepRests has housekeeping fail.
func TestSweepRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &cluttered{Store: memory.New()}
		r := runOn(t, store, store.Store, newEndpoints(ok))
		defer r.stop()
		time.Sleep(time.Hour + time.Minute)
		if n := store.sweeps.Load(); n != 7 {
			t.Errorf("the store was asked %d times in an hour", n)
		}
	})
}
