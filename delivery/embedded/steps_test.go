package embedded

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// readAll reads a log page by page.
func readAll(t *testing.T, s *Store, filter delivery.RequestFilter) (ids []uuid.UUID) {
	t.Helper()
	for {
		page, err := s.Requests(t.Context(), "acme", filter)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Requests {
			ids = append(ids, page.Requests[i].ID)
		}
		if filter.Before = page.Next; page.Next == uuid.Nil {
			return ids
		}
	}
}

// TestSteps reads a log of many event types in steps that do little each. What they read must be
// the same, whether the journal has it or the database.
func TestSteps(t *testing.T) {
	folder := t.TempDir()
	s := New(folder)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	const types, days = 20, 3
	w, gone := newHook(t, s), newHook(t, s)
	logOfTypes(t, s, w, types, days)
	logOfTypes(t, s, gone, types, 1)
	if err := s.DeleteWebhook(t.Context(), gone.Ref()); err != nil {
		t.Fatal(err)
	}
	compareSteps(t, s, w, types, days)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	compareSteps(t, open(t, folder), w, types, days)
}

func compareSteps(t *testing.T, s *Store, w *delivery.Webhook, types, days int) {
	t.Helper()
	for name, f := range map[string]struct {
		delivery.RequestFilter
		want int
	}{
		"all":     {delivery.RequestFilter{Limit: 50}, 2 * types * days},
		"one":     {delivery.RequestFilter{Limit: 1}, 2 * types * days},
		"exactly": {delivery.RequestFilter{Limit: 2 * types * days}, 2 * types * days},
		"type":    {delivery.RequestFilter{Limit: 2, EventType: "type 7"}, 2 * days},
		"status":  {delivery.RequestFilter{Limit: 7, Status: delivery.RequestFailed}, types * days},
		"webhook": {delivery.RequestFilter{Limit: 30, WebhookID: w.ID}, 2 * types * days},
		"period":  {delivery.RequestFilter{Limit: 7, Since: s.Now().Add(-25 * time.Hour), Until: s.Now().Add(-23 * time.Hour)}, 2 * types},
	} {
		s.stepWork = stepWork
		want := readAll(t, s, f.RequestFilter)
		if len(want) != f.want || !slices.IsSortedFunc(want, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) }) {
			t.Errorf("%s: %d rows, want %d in order", name, len(want), f.want)
		}
		for _, s.stepWork = range []int{1, 17} {
			if got := readAll(t, s, f.RequestFilter); !slices.Equal(got, want) {
				t.Errorf("%s: %d rows by steps of %d, want %d", name, len(got), s.stepWork, len(want))
			}
		}
	}
	read := func() (all []any) {
		webhooks, err := s.WebhookRequests(t.Context(), w.Tenant, []uuid.UUID{uuid.New(), w.ID}, s.Now().Add(-23*time.Hour))
		counts, err2 := s.RequestCounts(t.Context(), w.Tenant, s.Now().Add(-delivery.StatsKept))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for _, c := range counts {
			n += c.N
		}
		return []any{webhooks, n}
	}
	s.stepWork = stepWork
	want := read()
	if n := int64(2 * types * (days + 1)); want[1] != n {
		t.Errorf("%d requests were counted, want %d", want[1], n)
	}
	if s.stepWork = 1; !reflect.DeepEqual(read(), want) {
		t.Error("the counts by small steps are others")
	}
}

// TestStepsKeepToTheirWork looks at how much steps do.
func TestStepsKeepToTheirWork(t *testing.T) {
	s := open(t, t.TempDir())
	w := newHook(t, s)
	logOfTypes(t, s, w, 100, 1)
	p := pageReader{store: s, tenant: w.Tenant, filter: &delivery.RequestFilter{Limit: 100}, before: uuid.Max}
	do, steps := p.log(), 0
	for more := true; more; steps++ {
		err := s.read(func(tx *view) (err error) {
			left := 20
			if more, err = do(tx, &left); left < -1 {
				t.Errorf("step %d did %d more than it may", steps, -left)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Two look-ups of each event type and status, and of each row.
	if want := 2 * (2*100 + 100) / 20; steps < want || len(p.page.Requests) != 100 {
		t.Errorf("%d rows by %d steps, want %d at least", len(p.page.Requests), steps, want)
	}
}

// TestWriterBetweenSteps has a read that does not end before somebody else has written.
func TestWriterBetweenSteps(t *testing.T) {
	s := open(t, t.TempDir())
	newHook(t, s) // so that only the open transaction has all
	var begun, written atomic.Bool
	done := make(chan error, 1)
	deadline := time.Now().Add(time.Minute)
	err := s.inSteps(func(*view, *int) (more bool, err error) {
		if !begun.Swap(true) {
			go func() {
				err := s.CreateWebhook(t.Context(), &delivery.Webhook{Tenant: "acme", ID: uuid.New(), URL: "https://example.com"}, delivery.MaxWebhooks)
				written.Store(true)
				done <- err
			}()
		}
		if time.Now().After(deadline) {
			return false, errors.New("the write has waited for the read")
		}
		return !written.Load(), nil
	})
	if err := errors.Join(err, <-done); err != nil {
		t.Error(err)
	}
}
