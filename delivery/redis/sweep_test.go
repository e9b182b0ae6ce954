package redis

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// TestNothingStaysOfDeleted checks that nothing is left of a deleted webhook, beside another
// one.
func TestNothingStaysOfDeleted(t *testing.T) {
	s := open(t, options())
	w, other := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
	for _, of := range []*delivery.Webhook{w, other} {
		call := newCall(s, of, 3, 10, true)
		accepted := mustAccept(t, s, call)
		for i := range call.Events {
			o := success(s, of, &call.Events[i], &accepted)
			o.Request.ResponseBody = "thanks"
			if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.DeleteWebhook(t.Context(), w.Ref()); err != nil {
		t.Fatal(err)
	}
	sweepAll(t, s)
	base := s.keys.base(0)
	day := strconv.FormatInt(dayOf(s.Now()), 10)
	for key, want := range map[string]int64{
		base + "log:" + testTenant + ":" + day:           3,
		base + "log:" + refText(other.Ref()) + ":" + day: 3,
		base + "log:" + refText(w.Ref()) + ":" + day:     0,
		base + "gone": 0,
	} {
		if got := s.client().ZCard(t.Context(), key).Val(); got != want {
			t.Errorf("%q has %d members, want %d", key, got, want)
		}
	}
	rows, bodies := int64(0), int64(0)
	for _, key := range s.client().Keys(t.Context(), s.keys.prefix+":*").Val() {
		switch {
		case strings.HasPrefix(key, base+"requests:"):
			rows += s.client().HLen(t.Context(), key).Val()
		case strings.HasPrefix(key, base+"bodies:"):
			bodies += s.client().HLen(t.Context(), key).Val()
		}
	}
	if rows != 3 || bodies != 3 {
		t.Errorf("%d rows and %d bodies are left, want 3 of each", rows, bodies)
	}
}

// TestKeepsItsPlace writes outcomes and new events for a webhook that waits for its turn:
// this must not move it behind those that came after it.
func TestKeepsItsPlace(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	leased := newCall(s, w, 1, 10, true)
	accepted := mustAccept(t, s, leased)
	mustAccept(t, s, newCall(s, w, 1, 10, false))
	due := s.keys.base(0) + "due"
	since := s.client().ZScore(t.Context(), due, refText(w.Ref())).Val()
	eventually(t, "the clock goes on", func() error {
		if !s.Now().After(time.UnixMilli(int64(since) + 2)) {
			return errors.New("it is the same millisecond still")
		}
		return nil
	})
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{success(s, w, &leased.Events[0], &accepted)})...); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, s, newCall(s, w, 1, 10, false))
	w.Description = "edited"
	if err := s.UpdateWebhook(t.Context(), w, version(s, testTenant)); err != nil {
		t.Fatal(err)
	}
	if now := s.client().ZScore(t.Context(), due, refText(w.Ref())).Val(); now != since {
		t.Errorf("the webhook was due since %.0f, and now is since %.0f", since, now)
	}
	claim(t, s)
	if now := s.client().ZScore(t.Context(), due, refText(w.Ref())).Val(); now <= since {
		t.Error("the webhook had its turn and stays in front")
	}
}

// If the retention is shortened, an older delivery must not start over: it is dropped with
// its attempts.
func TestShortenedRetention(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, 1, 10, true)
	accepted := mustAccept(t, s, call)
	outcome := success(s, w, &call.Events[0], &accepted)
	outcome.Request.Status, outcome.Request.StatusCode, outcome.Request.Attempt = delivery.RequestFailed, 500, 2
	outcome.RetryAt = s.Now()
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{outcome})...); err != nil {
		t.Fatal(err)
	}
	mustSweep(t, s, -4*time.Hour) // as hours later
	eventually(t, "the delivery is dropped", func() error {
		if jobs := claim(t, s); len(jobs) > 0 {
			t.Fatalf("attempt %d after the second", jobs[0].Attempt)
		}
		n, err := s.Pending(t.Context())
		if err == nil && n > 0 {
			err = fmt.Errorf("%d pending", n)
		}
		return err
	})
}

// TestStrayPlaces puts webhooks among the paused ones that are not paused, as an older
// version that runs beside this one may do.
func TestStrayPlaces(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	mustAccept(t, s, newCall(s, w, 1, 10, false))
	gone := delivery.WebhookRef{Tenant: testTenant, ID: uuid.New()}
	paused := s.keys.base(0) + "paused"
	for _, ref := range []delivery.WebhookRef{w.Ref(), gone} {
		if err := s.client().ZAdd(t.Context(), paused, redis.Z{Score: 1, Member: refText(ref)}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	sweepAll(t, s)
	if n, err := s.client().ZCard(t.Context(), paused).Result(); err != nil || n != 0 {
		t.Errorf("%d webhooks are among the paused ones, %v", n, err)
	}
	if err := countJobs(claim(t, s), 1); err != nil {
		t.Error(err)
	}
}

// completeTypes has a request of each type succeed.
func completeTypes(t *testing.T, s *Store, w *delivery.Webhook, types ...string) {
	t.Helper()
	call := newCall(s, w, len(types), 10, true)
	accepted := mustAccept(t, s, call)
	outcomes := make([]delivery.Outcome, len(types))
	for i, name := range types {
		outcomes[i] = success(s, w, &call.Events[i], &accepted)
		outcomes[i].Request.EventType = name
	}
	if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
		t.Fatal(err)
	}
}

// TestUnusedTypesAreGivenBack gives the numbers of types to others that were last used before the
// retention. Those of an earlier version, which did not note the day, are used from now on.
func TestUnusedTypesAreGivenBack(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	key := s.keys.base(0) + "types"
	today := dayOf(s.Now())
	s.client().HSet(t.Context(), key, "earlier", 1)
	completeTypes(t, s, w, "used", "old")
	wantTypes := func(want map[string]string) {
		t.Helper()
		if got := s.client().HGetAll(t.Context(), key).Val(); !maps.Equal(got, want) {
			t.Errorf("the types are %v, want %v", got, want)
		}
	}
	used := func(number int, day int64) string { return fmt.Sprintf("%d.%06d", number, day) }
	wantTypes(map[string]string{"": "3", "earlier": "1", "used": used(2, today), "old": used(3, today)})
	s.client().HSet(t.Context(), key, "old", used(3, today-40), "used", used(2, today-20))
	sweepAll(t, s) // keeps rows of 14 days
	wantTypes(map[string]string{"": "3", "earlier": used(1, today)})
	completeTypes(t, s, w, "a", "b", "c", "earlier")
	got := s.client().HGetAll(t.Context(), key).Val()
	numbers := []string{got["a"], got["b"], got["c"], got["earlier"], got[""]}
	slices.Sort(numbers)
	if want := []string{used(1, today), used(2, today), used(3, today), "4", used(4, today)}; !slices.Equal(numbers, want) {
		t.Errorf("the numbers are %v, want %v", numbers, want)
	}
	for _, name := range []string{"a", "b", "c", "earlier"} {
		page, err := s.Requests(t.Context(), testTenant, delivery.RequestFilter{EventType: name, Limit: 10})
		if err != nil || len(page.Requests) != 1 || page.Requests[0].EventType != name {
			t.Errorf("requests of %q: %+v, %v", name, page.Requests, err)
		}
	}
}

// TestUsedTypesStay keeps types whose rows the index still has, however long ago they were used.
func TestUsedTypesStay(t *testing.T) {
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	completeTypes(t, s, w, "used")
	base := s.keys.base(0)
	old := fmt.Sprintf("1.%06d", dayOf(s.Now())-40)
	s.client().HSet(t.Context(), base+"types", "used", old)
	s.client().ZAdd(t.Context(), base+"days", redis.Z{Score: float64(dayOf(s.Now()) - 40), Member: "40 days ago"})
	p, err := s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	for cursor, first := "", true; first || cursor != "0"; first = false {
		if cursor, err = s.dropTypes(t.Context(), p.base, cursor, testRetention); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.client().HGet(t.Context(), base+"types", "used").Val(); got != old {
		t.Errorf("the type is %q, want %q", got, old)
	}
	completeTypes(t, s, w, "used")
	if got := s.client().HGet(t.Context(), base+"types", "used").Val(); got != fmt.Sprintf("1.%06d", dayOf(s.Now())) {
		t.Errorf("the type is %q after it was used", got)
	}
}

// TestSweepOfPartitionsEnds sweeps partitions that are not equally far: some are always on their
// way, unless those that are done wait for the others.
func TestSweepOfPartitionsEnds(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}, Partitions: 4})
	large := (*s.partitions.Load())[:2]
	for i, p := range large { // so that it takes several steps to look at all
		for n := range 3000 * (i + 1) {
			if err := s.client().HSet(t.Context(), p.base+"types", fmt.Sprintf("type_%d", n), n+1).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, p := range large {
		p.looked = lookedAt{of: i}
	}
	steps, more := 0, true
	for ; more && steps < 50; steps++ {
		var err error
		if more, err = s.Sweep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if more || steps < 3 {
		t.Errorf("swept in %d steps, and more: %t", steps, more)
	}
}
