package delivery_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

func countStored(s *delivery.Settings) { s.CountStored = true }

// emitBytes emits an event with as many bytes of data, and returns as many as that stores at
// least, and at most.
func (r *running) emitBytes(bytes int) (least, most int64) {
	r.t.Helper()
	data := []byte(`{"a":"` + strings.Repeat("x", bytes) + `"}`)
	if _, err := r.Emit(r.t.Context(), tenant, []delivery.NewEvent{{Type: "alert_active", Data: data}}); err != nil {
		r.t.Fatal(err)
	}
	return int64(bytes), int64(bytes) + 2000
}

// wantStored wants the engine to say that the tenant has stored so much.
func (r *running) wantStored(when string, least, most int64) {
	r.t.Helper()
	synctest.Wait()
	if got, _, err := r.Stored(r.t.Context(), tenant); err != nil || got < least || got > most {
		r.t.Errorf("%s: %d bytes are stored (%v), want %d to %d", when, got, err, least, most)
	}
}

// TestStored has two processes store something for a tenant. Each knows at once what it has
// stored, and soon what the other has.
func TestStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := flaky.New()
		const kept = 2 * time.Hour
		shortly := func(s *delivery.Settings) { s.Retention = kept }
		a, b := run(t, store, newEndpoints(ok), countStored, shortly), run(t, store, newEndpoints(ok), countStored, shortly)
		defer a.stop()
		b.wantStored("nothing", 0, 0)
		least, most := a.emitBytes(10_000)
		a.wantStored("just stored", least, most)
		b.wantStored("not told yet", 0, 0)
		time.Sleep(6 * time.Second)
		b.wantStored("the store was told, and perhaps asked before", 0, most)
		time.Sleep(5 * time.Second)
		b.wantStored("the store was asked", least, most)

		store.Fail(func(op string) error {
			if op == "CountStored" {
				return errors.New("no answer")
			}
			return nil
		})
		b.webhook("https://a.example")
		l, m := b.emitBytes(20_000)
		for range 4 {
			time.Sleep(6 * time.Second)
			b.wantStored("the store does not count", least+l, most+m)
		}
		if _, _, err := b.Stored(t.Context(), "other"); !errors.Is(err, delivery.ErrUnavailable) {
			t.Errorf("nobody knows what another tenant has stored: %v", err)
		}
		store.Fail(nil)
		least, most = least+l, most+m
		time.Sleep(11 * time.Second)
		a.wantStored("told in the end", least, most)

		l, m = b.emitBytes(5000)
		least, most = least+l, most+m
		b.stop() // which tells what was not told
		time.Sleep(11 * time.Second)
		a.wantStored("the other has stopped", least, most)

		time.Sleep(kept - time.Hour)
		a.wantStored("not too old", least, most)
		time.Sleep(2*time.Hour + time.Minute) // an hour is the length of a slice
		a.wantStored("too old", 0, 0)
	})
}

// TestStoredOfRequests counts requests with the bodies of their responses, tests, and no
// duplicates.
func TestStoredOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(func(context.Context, sender.Message) sender.Response {
			return sender.Response{StatusCode: 200, Body: strings.Repeat("y", 5000)}
		}), countStored)
		defer r.stop()
		w := r.webhook("https://a.example")
		ev := delivery.NewEvent{ID: w.ID, Type: "alert_active", Data: []byte("{}")}
		for range 3 {
			if _, err := r.Emit(t.Context(), tenant, []delivery.NewEvent{ev}); err != nil {
				t.Fatal(err)
			}
		}
		r.wantStored("one event", 5000, 6500)
		if _, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		r.wantStored("an event and a test", 10_000, 13_000)
	})
}

// TestStoredIsNotCounted counts nothing, and asks the store for nothing.
func TestStoredIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		r.emitBytes(1000)
		time.Sleep(time.Minute)
		r.wantStored("not counted", 0, 0)
		if n := r.store.Calls("CountStored"); n > 0 {
			t.Errorf("the store was asked %d times", n)
		}
		// By a reload it is: from then on.
		s := delivery.DefaultSettings()
		s.CountStored = true
		detach := r.Attach(s, nopLog)
		least, most := r.emitBytes(1000)
		r.wantStored("counted", least, most)
		detach()
		time.Sleep(10 * time.Second)
		r.wantStored("not counted any more", 0, 0)
	})
}

// TestStoredIsBounded asks for tenants without end that have stored nothing.
func TestStoredIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), countStored)
		defer r.stop()
		for i := range 1000 {
			if _, _, err := r.Stored(t.Context(), strconv.Itoa(i%500)); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.store.Calls("CountStored"); n != 500 {
			t.Errorf("the store was asked %d times for 500 tenants", n)
		}
		time.Sleep(11 * time.Second)
		if n := r.StoredTenants(); n > 0 {
			t.Errorf("%d tenants are remembered of which nobody wants to know", n)
		}
	})
}
