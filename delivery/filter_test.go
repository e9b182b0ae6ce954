package delivery_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/internal/flaky"
)

// filtered makes a webhook with a filter.
func (r *running) filtered(url, filter string) *delivery.Webhook {
	r.t.Helper()
	w, err := r.CreateWebhook(r.t.Context(), delivery.Webhook{
		Tenant: tenant, URL: url, Enabled: true, EventTypes: []string{delivery.AllEventTypes}, Filter: filter,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return w
}

// emitData emits events with these data.
func (r *running) emitData(data ...string) ([]delivery.Receipt, error) {
	events := make([]delivery.NewEvent, len(data))
	for i := range events {
		events[i] = delivery.NewEvent{Type: "alert_active", Data: []byte(data[i])}
	}
	return r.Emit(r.t.Context(), tenant, events)
}

// TestFilter has webhooks choose events, however much of them is remembered.
func TestFilter(t *testing.T) {
	for name, most := range map[string]int{"all": 4 << 20, "no records": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := new(notes)
				r := runObserved(t, told, flaky.New(), newEndpoints(ok))
				defer r.stop()
				r.RememberLittle(most, 1<<20)
				r.webhook("https://all.example")
				w := r.filtered("https://high.example", "data.n > 2 && event_type == 'alert_active' && tenant == 'default'")
				r.filtered("https://missing.example", "data.missing == 1")
				r.filtered("https://none.example", "false")
				receipts, err := r.emitData(`{"n":1}`, `{"n":2}`, `{"n":3,"missing":1}`)
				if err != nil {
					t.Fatal(err)
				}
				deliveries := []int{receipts[0].Deliveries, receipts[1].Deliveries, receipts[2].Deliveries}
				if !slices.Equal(deliveries, []int{1, 1, 3}) {
					t.Errorf("%d deliveries", deliveries)
				}
				synctest.Wait()
				for url, n := range map[string]int{"https://all.example": 3, "https://high.example": 1, "https://missing.example": 1, "https://none.example": 0} {
					if got := len(r.sender.to(url)); got != n {
						t.Errorf("%s got %d", url, got)
					}
				}
				if n := strings.Count(strings.Join(told.take(), "\n"), "filter failed"); n != 2 {
					t.Errorf("the observer was told of %d filters that failed", n)
				}
				if _, err := r.ChangeWebhook(t.Context(), w.Ref(), func(w *delivery.Webhook) { w.Filter = "data.n < 2" }); err != nil {
					t.Fatal(err)
				}
				if receipts, err = r.emitData(`{"n":1}`, `{"n":3}`); err != nil || receipts[0].Deliveries != 2 || receipts[1].Deliveries != 1 {
					t.Errorf("after a change: %+v, %v", receipts, err)
				}
				if _, err := r.Test(t.Context(), tenant, w.ID, delivery.NewEvent{Type: "alert_active", Data: []byte(`{"n":5}`)}); err != nil {
					t.Errorf("a test: %v", err)
				}
			})
		})
	}
}

// TestCostlyFilters has more of them than may be evaluated for one emit. Nothing is stored then,
// and others are not affected.
func TestCostlyFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		costly := "data.list.all(a, data.list.all(b, true)) && false"
		for i := range 3 {
			r.filtered(fmt.Sprintf("https://%d.example", i), costly+fmt.Sprintf(" || %d == 0", i))
		}
		list := strings.TrimSuffix(strings.Repeat("1,", 40), ",")
		data := `{"list":[` + list + `]}`
		if receipts, err := r.emitData(data); err != nil || receipts[0].Deliveries != 1 {
			t.Errorf("one event: %+v, %v", receipts, err)
		}
		accepts := r.store.Calls("Accept")
		if _, err := r.emitData(slices.Repeat([]string{data}, 500)...); !errors.Is(err, delivery.ErrFiltersTooCostly) {
			t.Errorf("500 events: %v", err)
		}
		if n := r.store.Calls("Accept"); n != accepts {
			t.Error("some were stored")
		}
		if err := r.emitFor("other", 1000); err != nil {
			t.Error(err)
		}
		if n := r.IntakeInUse(); n != 0 {
			t.Errorf("%d bytes of intake are still in use", n)
		}
	})
}

// TestManyFilters has a tenant with more long filters than can be kept compiled: so many of
// them would be compiled for each emit.
func TestManyFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, flaky.New(), newEndpoints(ok))
		defer r.stop()
		long := "'" + strings.Repeat("x", 1900) + "%d' == data.text"
		for i := range 200 {
			r.filtered(fmt.Sprintf("https://%d.example", i), fmt.Sprintf(long, i))
		}
		if _, err := r.emitData(`{"text":""}`); err != nil {
			t.Errorf("some: %v", err)
		}
		for i := range 400 {
			r.filtered(fmt.Sprintf("https://same%d.example", i), fmt.Sprintf(long, 0))
		}
		if _, err := r.emitData(`{"text":""}`); err != nil {
			t.Errorf("the same ones: %v", err)
		}
		for i := range 200 {
			r.filtered(fmt.Sprintf("https://more%d.example", i), fmt.Sprintf(long, 200+i))
		}
		for range 2 {
			if _, err := r.emitData(`{"text":""}`); !errors.Is(err, delivery.ErrFiltersTooCostly) {
				t.Errorf("too many: %v", err)
			}
		}
	})
}
