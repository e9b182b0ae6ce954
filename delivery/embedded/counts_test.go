package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// delivered delivers events to the load's webhook, one after the other.
func delivered(t *testing.T, load *storetest.Load, n int) {
	t.Helper()
	for range n {
		calls, accepted := load.Accept(t, 1, true)
		load.Complete(t, calls, accepted)
	}
}

// wantCounts checks how many requests are counted, of the tenant and of its webhook.
func wantCounts(t *testing.T, s *Store, when string, want int64) {
	t.Helper()
	webhooks, _, err := storetest.Webhooks(t.Context(), s, "load-0")
	if err != nil || len(webhooks) != 1 {
		t.Fatal(webhooks, err)
	}
	since := time.Now().Add(-time.Hour)
	counts, err := s.RequestCounts(t.Context(), "load-0", since)
	if err != nil {
		t.Fatal(err)
	}
	hours, err := s.WebhookRequests(t.Context(), "load-0", []uuid.UUID{webhooks[0].ID}, since)
	if err != nil {
		t.Fatal(err)
	}
	ofTenant, ofWebhook := int64(0), int64(0)
	for _, c := range counts {
		ofTenant += c.N
	}
	for _, h := range hours[0].Hours {
		ofWebhook += h.Successes
	}
	if ofTenant != want || ofWebhook != want {
		t.Errorf("%s: %d requests of the tenant are counted, %d of the webhook, want %d", when, ofTenant, ofWebhook, want)
	}
}

// restart closes a store, which commits the database, and opens it again.
func restart(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.folder)
}

// TestCountsOfJournal rebuilds counts from the rows in the journal, and adds them to those
// in the database.
func TestCountsOfJournal(t *testing.T) {
	first := open(t, t.TempDir())
	load := storetest.Load{Store: first}
	load.Begin(t)
	delivered(t, &load, 3)
	s := restart(t, first)
	wantCounts(t, s, "committed", 3)
	load.Store = s
	delivered(t, &load, 4)
	wantCounts(t, s, "in the journal", 7)
	database, journal := abandon(t, s)
	again := reopen(t, database, journal)
	wantCounts(t, again, "after a crash", 7)
	load.Store = again
	delivered(t, &load, 1)
	wantCounts(t, again, "after a crash and more", 8)
	wantCounts(t, restart(t, again), "after a restart", 8)
}

// TestSweptCounts checks that Sweep removes counters that are too old.
func TestSweptCounts(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	calls, accepted := load.Accept(t, 1, true)
	const old = 700 // more than a step removes
	var outcomes []delivery.Outcome
	for i := range old {
		o := outcome(s, &calls[0], &accepted[0])
		age := delivery.StatsKept + time.Hour + time.Duration(i)*time.Hour
		if i%2 == 0 {
			age = delivery.HoursKept + time.Hour + time.Duration(i%150)*time.Hour
		}
		o.Request.ID = delivery.NewID(s.Now().Add(-age))
		outcomes = append(outcomes, o)
	}
	if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), 400*24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	err := s.read(func(v *view) error {
		stats, strips := v.tx.Bucket(statsBucket).Stats().KeyN, v.tx.Bucket(stripsBucket).Stats().KeyN
		if stats == 0 || stats > old/2 || strips != 0 {
			t.Errorf("%d counters of slices are left and %d of hours", stats, strips)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
