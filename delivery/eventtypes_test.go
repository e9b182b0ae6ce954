package delivery_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// emitTypes emits an event of each type in one call.
func (r *running) emitTypes(types ...string) error {
	events := make([]delivery.NewEvent, len(types))
	for i, name := range types {
		events[i] = delivery.NewEvent{Type: name, Data: []byte(`{}`)}
	}
	_, err := r.Emit(r.t.Context(), tenant, events)
	return err
}

func anyEventType(s *delivery.Settings) { s.AnyEventType = true }

// TestOnlyNewTypesAreNoted counts how often the store is asked about event types.
func TestOnlyNewTypesAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			name   string
			change func(*delivery.Settings)
			want   []int // after each call
		}{
			{"any name", anyEventType, []int{1, 1, 2, 3, 3}},
			{"configured names", func(*delivery.Settings) {}, []int{0, 0, 0, 0, 0}},
		} {
			r := run(t, flaky.New(), newEndpoints(ok), tc.change)
			for i, emit := range []struct {
				types []string
				after time.Duration
			}{{[]string{"a", "b", "a"}, 0}, {[]string{"b", "a"}, 0}, {[]string{"a", "c"}, 0}, {[]string{"c", "a"}, 24 * time.Hour}, {[]string{"a"}, 0}} {
				time.Sleep(emit.after)
				if err := r.emitTypes(emit.types...); err != nil {
					t.Fatal(err)
				}
				if n := r.store.Calls("NoteEventTypes"); n != tc.want[i] {
					t.Errorf("%s: after call %d, the store was asked %d times, want %d", tc.name, i+1, n, tc.want[i])
				}
			}
			r.stop()
		}
	})
}

// TestTooManyEventTypes checks that nothing of a call is stored whose types are too many, also
// of a test, and that types make room once the retention has ended.
func TestTooManyEventTypes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), anyEventType, func(s *delivery.Settings) { s.Retention = 2 * 24 * time.Hour })
		defer r.stop()
		w := r.webhook("https://a.example")
		for i := range delivery.MaxEventTypes {
			if err := r.emitTypes(fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		accepted := r.store.Calls("Accept")
		if err := r.emitTypes("0", "another"); !errors.Is(err, delivery.ErrTooManyEventTypes) {
			t.Errorf("an emit: %v", err)
		}
		if _, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "another", Data: []byte(`{}`)}); !errors.Is(err, delivery.ErrTooManyEventTypes) {
			t.Errorf("a test: %v", err)
		}
		if n := r.store.Calls("Accept"); n != accepted {
			t.Errorf("%d Accepts for what was refused", n-accepted)
		}
		time.Sleep(3 * 24 * time.Hour)
		if err := r.emitTypes("another"); err != nil {
			t.Errorf("after the retention: %v", err)
		}
	})
}

// TestTypesCannotBeNoted checks that a store that fails says so, and is asked again.
func TestTypesCannotBeNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok), anyEventType)
		defer r.stop()
		r.store.Fail(func(op string) error {
			if op == "NoteEventTypes" {
				return errors.New("lost")
			}
			return nil
		})
		// As often as a tenant's share of what may be in progress would last.
		large := []delivery.NewEvent{{Type: "a", Data: append(bytes.Repeat([]byte(" "), 1<<20), "{}"...)}}
		for range 1000 {
			if _, err := r.Emit(t.Context(), tenant, large); !errors.Is(err, delivery.ErrUnavailable) {
				t.Fatalf("got %v", err)
			}
		}
		r.store.Fail(nil)
		if err := r.emitTypes("a"); err != nil {
			t.Error(err)
		}
	})
}
