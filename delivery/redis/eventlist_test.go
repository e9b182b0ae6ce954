package redis

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// listedEvents gives the ids of the tenant's events, page by page.
func listedEvents(t *testing.T, s *Store, filter delivery.EventFilter) (ids []uuid.UUID) {
	t.Helper()
	for filter.Limit = 7; ; {
		page, err := s.Events(t.Context(), testTenant, filter)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			ids = append(ids, page.Events[i].ID)
		}
		if filter.After = page.Next; page.Next == "" {
			return ids
		}
	}
}

// TestEventChunks lists events of several hours, whose strings are divided into chunks while they are
// read: a place stays the same when its chunk is renamed.
func TestEventChunks(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	s.longChunk = 300
	var want []uuid.UUID
	imported := func(age time.Duration) {
		at := s.Now().Add(-age).UTC().Truncate(time.Millisecond)
		e := delivery.StoredEvent{Event: delivery.Event{Tenant: testTenant, ID: uuid.New(), Type: "a", OccurredAt: at, ReceivedAt: at, Payload: []byte("{}")}, Expires: at.Add(testRetention)}
		if _, err := s.Import(t.Context(), &delivery.Batch{Events: []delivery.StoredEvent{e}}); err != nil {
			t.Fatal(err)
		}
		want = append(want, e.ID)
	}
	for hour := range 5 {
		for i := range 12 {
			imported(time.Duration(10-hour)*time.Hour - time.Duration(i))
		}
	}
	places := make(map[string]int) // how many events are before each
	for range 40 {
		call := newCall(s, addWebhook(t, s, testTenant), 1, 10, false)
		mustAccept(t, s, call)
		want = append(want, call.Events[0].ID)
		page, err := s.Events(t.Context(), testTenant, delivery.EventFilter{Limit: 1})
		if err != nil || len(page.Events) != 1 || page.Events[0].ID != call.Events[0].ID {
			t.Fatalf("the newest event is %+v, %v", page.Events, err)
		}
		places[page.Events[0].Place] = len(want) - 1
	}
	chunks := s.client().Keys(t.Context(), arrivedKey(s.keys.base(0), testTenant, "*")).Val()
	if n := len(slices.DeleteFunc(chunks, func(key string) bool { return strings.Count(key, ":") < 5 })); n < 10 {
		t.Errorf("there are %d chunks", n)
	}
	if got := listedEvents(t, s, delivery.EventFilter{OldestFirst: true}); !slices.Equal(got, want) {
		t.Errorf("%d events, want %d, or in another order", len(got), len(want))
	}
	slices.Reverse(want)
	if got := listedEvents(t, s, delivery.EventFilter{}); !slices.Equal(got, want) {
		t.Errorf("newest first: %d events, want %d, or in another order", len(got), len(want))
	}
	for place, before := range places {
		if got := listedEvents(t, s, delivery.EventFilter{After: place}); !slices.Equal(got, want[len(want)-before:]) {
			t.Errorf("%d events are behind the place of event %d", len(got), before)
		}
	}
}

// TestEventsExpire removes expired hours from the list of a tenant's chunks, and keeps the others.
func TestEventsExpire(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	index := s.keys.base(0) + "arrivals:" + testTenant
	mustAccept(t, s, newCall(s, w, 1, 10, false))
	if n := s.client().ZCard(t.Context(), index).Val(); n != 1 {
		t.Fatalf("there are %d chunks", n)
	}
	hours := s.client().Keys(t.Context(), arrivedKey(s.keys.base(0), testTenant, "*")).Val()
	s.client().Del(t.Context(), hours...)
	const old = "400000"
	s.client().ZAdd(t.Context(), index, redis.Z{Score: 400_000 * mostChunks, Member: old})
	mustAccept(t, s, newCall(s, w, 1, 10, false))
	if left := s.client().ZRange(t.Context(), index, 0, -1).Val(); len(left) != 1 || slices.Contains(left, old) {
		t.Errorf("the chunks are %q", left)
	}
	if got := listedEvents(t, s, delivery.EventFilter{}); len(got) != 1 {
		t.Errorf("%d events are listed", len(got))
	}
}
