package redis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// places says in which of its two places an event lies.
func places(t *testing.T, s *Store, tenant string, id uuid.UUID) (all []string) {
	t.Helper()
	p, err := s.at(tenant)
	if err != nil {
		t.Fatal(err)
	}
	if span, ok := idSpan(id); ok && s.client().HExists(t.Context(), eventsKey(p.base, span), eventField(tenant, id)).Val() {
		all = append(all, "hash")
	}
	if s.client().Exists(t.Context(), eventKey(p.base, tenant, id)).Val() > 0 {
		all = append(all, "string")
	}
	return all
}

// eventIDs are ids of events by where these lie when they are accepted.
func eventIDs(s *Store) map[string][]uuid.UUID {
	now := s.Now()
	random := delivery.NewID(now)
	random[6] = 0x40 | random[6]&0xf // version 4
	return map[string][]uuid.UUID{
		"hash": {delivery.NewID(now), delivery.NewID(now.Add(-9 * time.Minute)), delivery.NewID(now.Add(5 * time.Minute))},
		"string": {
			random, uuid.Nil, delivery.NewID(now.Add(-16 * time.Minute)), delivery.NewID(now.Add(11 * time.Minute)),
			delivery.NewID(now.Add(-20 * 24 * time.Hour)),
			{0: 0xff, 6: 0x7f, 15: 0xff},
		},
	}
}

// TestEventPlaces stores events by their ids, finds them, and knows duplicates of the same
// tenant alone, whether they are said to be new or not.
func TestEventPlaces(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w, other := addWebhook(t, s, testTenant), addWebhook(t, s, otherTenant)
	for want, ids := range eventIDs(s) {
		for _, id := range ids {
			for _, of := range []*delivery.Webhook{w, other} {
				call := newCall(s, of, 1, 10, false)
				call.Events[0].ID = id
				if result := mustAccept(t, s, call); result.Events[0] != (delivery.AcceptedEvent{Deliveries: 1}) {
					t.Errorf("%s of %s: %+v", id, of.Tenant, result.Events)
				}
				if got := places(t, s, of.Tenant, id); !slices.Equal(got, []string{want}) {
					t.Errorf("%s lies in %v, want %s", id, got, want)
				}
				if _, deliveries, err := s.Event(t.Context(), of.Tenant, id); err != nil || len(deliveries) != 1 {
					t.Errorf("%s of %s: %+v, %v", id, of.Tenant, deliveries, err)
				}
				if result := mustAccept(t, s, call); !result.Events[0].Repeated {
					t.Errorf("%s again: %+v", id, result.Events)
				}
				call.Nonce = uuid.New()
				if result := mustAccept(t, s, call); !result.Events[0].Duplicate {
					t.Errorf("another %s: %+v", id, result.Events)
				}
			}
		}
	}
	if _, _, err := s.Event(t.Context(), "nobody", delivery.NewID(s.Now())); err == nil {
		t.Error("an event of nobody")
	}
	if err := countJobs(claim(t, s), 2*9); err != nil {
		t.Error(err)
	}
}

// TestOneCallOfMany accepts a call whose events lie in many places, some of which are there
// twice, or from before.
func TestOneCallOfMany(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	before := newCall(s, w, 2, 10, false)
	before.Events[1].ID = uuid.New()
	mustAccept(t, s, before)
	call := newCall(s, w, 1200, 10, false)
	for i := range call.Events {
		e := &call.Events[i]
		switch i % 4 {
		case 0:
			e.New = true
		case 1:
			e.ID = uuid.New()
		case 2:
			e.ID = delivery.NewID(s.Now().Add(-time.Duration(i%10) * time.Minute))
		}
	}
	want := make([]delivery.AcceptedEvent, len(call.Events))
	for i := range want {
		want[i] = delivery.AcceptedEvent{Deliveries: 1}
	}
	call.Events[601].ID, call.Events[603].ID = before.Events[0].ID, before.Events[1].ID
	call.Events[1101].ID, call.Events[1102].ID = call.Events[1].ID, call.Events[2].ID
	for _, i := range []int{601, 603, 1101, 1102} {
		want[i] = delivery.AcceptedEvent{Duplicate: true}
	}
	if result := mustAccept(t, s, call); !slices.Equal(result.Events, want) {
		t.Error("what is new and what is not was mistaken")
	}
	for i := range want {
		if want[i].Duplicate {
			continue
		}
		want[i].Repeated = true
		if got := places(t, s, testTenant, call.Events[i].ID); len(got) != 1 {
			t.Errorf("event %d lies in %v", i, got)
		}
	}
	for i := range call.Events {
		call.Events[i].New = false
	}
	if result := mustAccept(t, s, call); !slices.Equal(result.Events, want) {
		t.Error("the call made again was mistaken")
	}
}

// TestLateFirstTry runs a call after its repetition, as Redis may do with one that has timed
// out. Then it changes nothing, although its events are said to be new.
func TestLateFirstTry(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	for _, n := range []int{1, 5} {
		call := newCall(s, w, n, 10, true)
		again := call
		again.Events = slices.Clone(call.Events)
		for i := range again.Events {
			again.Events[i].Targets = []delivery.Target{{Webhook: w.ID}}
			call.Events[i].New = true
		}
		mustAccept(t, s, again)
		for i, e := range mustAccept(t, s, call).Events {
			if !e.Repeated {
				t.Errorf("event %d of %d: %+v", i, n, e)
			}
		}
		if err := countJobs(claim(t, s), n); err != nil { // they have no other lease
			t.Error(err)
		}
	}
}

// TestEventsSwept drops a hash with all that is in it, and notes the same one again.
func TestEventsSwept(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	hours := s.keys.base(0) + "hours"
	var last delivery.AcceptCall
	for range 2 {
		last = newCall(s, w, 3, 10, false)
		mustAccept(t, s, last)
		if n := s.client().ZCard(t.Context(), hours).Val(); n < 1 || n > 2 {
			t.Errorf("%d hashes are noted", n)
		}
		mustSweep(t, s, 0)
		mustSweep(t, s, -50*time.Minute)
		if got := places(t, s, testTenant, last.Events[0].ID); len(got) != 1 {
			t.Error("an event was dropped with its log, and not an hour after it")
		}
		mustSweep(t, s, -3*time.Hour)
		if got := places(t, s, testTenant, last.Events[0].ID); len(got) > 0 {
			t.Error("an event was not dropped")
		}
		if n := s.client().ZCard(t.Context(), hours).Val(); n > 0 {
			t.Errorf("%d hashes are noted still", n)
		}
		s.client().Del(t.Context(), sweptKey(s.keys.base(0))) // as if it were not later
	}
	if keys := s.client().Keys(t.Context(), s.keys.base(0)+"event*").Val(); len(keys) > 0 {
		t.Errorf("%q are left", keys)
	}
}

// TestEventSpans has ids from many minutes: no hash has events of more than 10 seconds, and all of
// them are dropped by the hour.
func TestEventSpans(t *testing.T) {
	t.Parallel()
	s := open(t, options())
	w := addWebhook(t, s, testTenant)
	const n = 14 * 6
	call := newCall(s, w, n, 10, false)
	first := s.Now().Add(-9 * time.Minute)
	for i := range call.Events {
		call.Events[i].ID = delivery.NewID(first.Add(time.Duration(i) * 10 * time.Second))
	}
	mustAccept(t, s, call)
	base := s.keys.base(0)
	if keys := s.client().Keys(t.Context(), base+"events:*").Val(); len(keys) != n {
		t.Errorf("%d events are in %d hashes", n, len(keys))
	}
	if hours := s.client().ZCard(t.Context(), base+"hours").Val(); hours < 1 || hours > 2 {
		t.Errorf("%d hours are noted", hours)
	}
	mustSweep(t, s, -4*time.Hour)
	if keys := s.client().Keys(t.Context(), base+"event*").Val(); len(keys) > 0 {
		t.Errorf("%q are left", keys)
	}
}

// TestEventLost loses a hash, and a single field of it.
func TestEventLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(s *Store, key, field string) *redis.IntCmd{
		"hash":  func(s *Store, key, _ string) *redis.IntCmd { return s.client().Del(t.Context(), key) },
		"field": func(s *Store, key, field string) *redis.IntCmd { return s.client().HDel(t.Context(), key, field) },
	} {
		s := open(t, options())
		w := addWebhook(t, s, testTenant)
		call := newCall(s, w, 1, 10, false)
		mustAccept(t, s, call)
		span, _ := idSpan(call.Events[0].ID)
		if lose(s, eventsKey(s.keys.base(0), span), eventField(testTenant, call.Events[0].ID)).Val() != 1 {
			t.Fatalf("there is no %s", name)
		}
		if err := countJobs(claim(t, s), 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n, err := s.Pending(t.Context()); err != nil || n != 0 {
			t.Errorf("%s: %d are pending, %v", name, n, err)
		}
		if result := mustAccept(t, s, call); result.Events[0].Repeated || result.Events[0].Duplicate {
			t.Errorf("%s: what was lost is known: %+v", name, result.Events)
		}
		if err := countJobs(claim(t, s), 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadable checks that the log shows ids as text.
func TestReadable(t *testing.T) {
	t.Parallel()
	id := delivery.NewID(time.Unix(1_773_426_600, 0))
	webhook := delivery.NewID(time.Unix(1_773_426_601, 0))
	for _, test := range []struct{ raw, want string }{
		{eventKey("webhooks:{0}:", "acme", id), "webhooks:{0}:event:acme:" + id.String()},
		{eventField("a-tenant-of-15-b", id), "a-tenant-of-15-b:" + id.String()},
		{string(id[:]), id.String()},
		{string(id[:]) + string(webhook[:]), fmt.Sprint(id, " ", webhook)},
		{"webhooks:{0}:state", "webhooks:{0}:state"},
		{"", ""},
	} {
		if got := readable(test.raw); got != test.want {
			t.Errorf("%q is shown as %q, want %q", test.raw, got, test.want)
		}
	}
}
