package redis

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
)

// mostCommands runs operations on a server of its own, and returns how many commands the script
// that has most of them runs. Redis notes a script after its commands.
func mostCommands(t *testing.T, s *Store, do func() error) (most int) {
	t.Helper()
	client := s.client()
	for name, value := range map[string]string{"slowlog-log-slower-than": "0", "slowlog-max-len": "100000"} {
		if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.SlowLogReset(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := do(); err != nil {
		t.Fatal(err)
	}
	logs, err := client.SlowLogGet(t.Context(), -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	for n := -1; len(logs) > 0; logs = logs[1:] { // the newest first
		if name := logs[0].Args[0]; name == "evalsha" || name == "eval" {
			n = 0
		} else if n >= 0 {
			n++
		}
		most = max(most, n)
	}
	return most
}

// pages reads a log page by page.
func pages(t *testing.T, s *Store, filter delivery.RequestFilter) (ids []uuid.UUID) {
	t.Helper()
	for {
		page, err := s.Requests(t.Context(), testTenant, filter)
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

// TestSteps reads a log of many event types by scripts that do little each. What they read must
// be the same, and none may do more than it is told to.
func TestSteps(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "steps"})
	const types, days = 20, 2
	l := newWorstLog(t, s, testTenant, types, days)
	gone := newWorstLog(t, s, testTenant, types, 1)
	if err := s.DeleteWebhook(t.Context(), gone.webhook.Ref()); err != nil {
		t.Fatal(err)
	}
	filters := map[string]struct {
		delivery.RequestFilter
		want int
	}{
		"all":     {delivery.RequestFilter{Limit: 50}, 2 * types * days},
		"one":     {delivery.RequestFilter{Limit: 1}, 2 * types * days},
		"exactly": {delivery.RequestFilter{Limit: 2 * types * days}, 2 * types * days},
		"type":    {delivery.RequestFilter{Limit: 2, EventType: testTenant + " 7"}, 2 * days},
		"status":  {delivery.RequestFilter{Limit: 7, Status: delivery.RequestFailed}, types * days},
		"webhook": {delivery.RequestFilter{Limit: 30, WebhookID: l.webhook.ID}, 2 * types * days},
		"deleted": {delivery.RequestFilter{Limit: 30, WebhookID: gone.webhook.ID}, 0},
		"period":  {delivery.RequestFilter{Limit: 7, Since: s.Now().Add(-25 * time.Hour), Until: s.Now().Add(-23 * time.Hour)}, 2 * types},
		"nothing": {delivery.RequestFilter{Limit: 7, Since: s.Now().Add(time.Hour)}, 0},
	}
	for name, f := range filters {
		s.work = workPerScript
		want := pages(t, s, f.RequestFilter)
		if len(want) != f.want || !slices.IsSortedFunc(want, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) }) {
			t.Errorf("%s: %d rows, want %d in order", name, len(want), f.want)
		}
		for _, s.work = range []int{1, 17} {
			if got := pages(t, s, f.RequestFilter); !slices.Equal(got, want) {
				t.Errorf("%s: %d rows by steps of %d, want %d", name, len(got), s.work, len(want))
			}
		}
		s.work = 20
		// With what each script reads beside: days, how far was swept, the number of a type.
		if n := mostCommands(t, s, func() error { s.findAll(t, f.RequestFilter); return nil }); n == 0 || n > s.work+10 {
			t.Errorf("%s: a script has run %d commands, with work for %d", name, n, s.work)
		}
	}
}

// TestStepsOfWebhooks counts the requests of webhooks by scripts that do little each.
func TestStepsOfWebhooks(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "steps"})
	l := newWorstLog(t, s, testTenant, 20, 2)
	webhooks := []uuid.UUID{uuid.New(), l.webhook.ID, uuid.New()}
	read := func() []delivery.WebhookRequests {
		all, err := s.WebhookRequests(t.Context(), testTenant, webhooks, s.Now().Add(-30*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	s.work = workPerScript
	want := read()
	if n := want[1].Hours; len(n) == 0 || want[1].LastAt.IsZero() {
		t.Errorf("the counts are %+v", want)
	}
	for _, s.work = range []int{1, 17, 20} {
		if n := mostCommands(t, s, func() error {
			if got := read(); !reflect.DeepEqual(got, want) {
				t.Errorf("by steps of %d: %+v, want %+v", s.work, got, want)
			}
			return nil
		}); n == 0 || n > s.work+10 {
			t.Errorf("a script has run %d commands, with work for %d", n, s.work)
		}
	}
}

// findAll looks for the ids of a page.
func (s *Store) findAll(t *testing.T, f delivery.RequestFilter) {
	t.Helper()
	p, err := s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	first, before, _ := f.Bounds()
	q := pageQuery{store: s, partition: p, log: testTenant, filter: &f, first: first, before: before}
	if f.WebhookID != uuid.Nil {
		q.log = refText(delivery.WebhookRef{Tenant: testTenant, ID: f.WebhookID})
	}
	if _, err := q.find(t.Context(), f.Limit+1); err != nil {
		t.Fatal(err)
	}
}

// TestStepsOfEvent reads the requests of an event that was sent again and again by scripts that
// do little each.
func TestStepsOfEvent(t *testing.T) {
	s := open(t, Options{Addresses: []string{redistest.Start(t).Addr}, KeyPrefix: "steps"})
	const webhooks, each = 5, 30
	call := newCall(s, addWebhook(t, s, testTenant), 1, 10, false)
	for range webhooks - 1 {
		call.Events[0].Targets = append(call.Events[0].Targets, delivery.Target{Webhook: addWebhook(t, s, testTenant).ID})
	}
	call.Version = version(s, testTenant)
	accepted := mustAccept(t, s, call)
	for _, target := range call.Events[0].Targets[1:] {
		outcomes := make([]delivery.Outcome, each)
		for i := range outcomes {
			outcomes[i] = success(s, &delivery.Webhook{Tenant: testTenant, ID: target.Webhook}, &call.Events[0], &accepted)
			outcomes[i].LeaseEnd, outcomes[i].Request.Trigger, outcomes[i].Request.Attempt = 0, delivery.TriggerRerun, 0
		}
		if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
			t.Fatal(err)
		}
	}
	filter := delivery.RequestFilter{Limit: 1000, EventID: call.Events[0].ID}
	want := pages(t, s, filter)
	if len(want) != (webhooks-1)*each {
		t.Errorf("%d rows, want %d", len(want), (webhooks-1)*each)
	}
	for _, s.work = range []int{1, 60} {
		if got := pages(t, s, filter); !slices.Equal(got, want) {
			t.Errorf("%d rows by steps of %d, want %d", len(got), s.work, len(want))
		}
	}
}
