package redis

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestKeys checks what is in Redis against the table in keys.go.
func TestKeys(t *testing.T) {
	o := options()
	o.Partitions = 3
	s := open(t, o)
	w, paused := fillEachKind(t, s)
	base := s.keys.base(partitionOf(testTenant, 3))
	kinds := kindsOfKeys(w, paused)
	seen := make(map[string]bool)
	keys, err := s.client().Keys(t.Context(), o.KeyPrefix+":*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if key == s.keys.meta() {
			continue
		}
		rest, ok := strings.CutPrefix(key, base)
		if !ok {
			t.Errorf("the key %q is in no partition of the tenant", key)
			continue
		}
		kind := s.client().Type(t.Context(), key).Val()
		known := false
		for prefix, want := range kinds {
			if strings.HasPrefix(rest, prefix) && kind == want {
				known, seen[prefix] = true, true
			}
		}
		if !known {
			t.Errorf("the key %q, a %s, is not in the table", key, kind)
		}
		wantExpiry(t, s, key, rest)
	}
	for prefix := range kinds {
		if !seen[prefix] {
			t.Errorf("there is no key %s", prefix)
		}
	}
}

// fillEachKind makes keys of each kind. One of the two webhooks has deliveries of each
// kind, and the other is disabled.
func fillEachKind(t *testing.T, s *Store) (w, paused *delivery.Webhook) {
	t.Helper()
	w, gone := addWebhook(t, s, testTenant), addWebhook(t, s, testTenant)
	if err := s.WriteAuditEntry(t.Context(), auditEntry(s, testTenant, 0)); err != nil {
		t.Fatal(err)
	}
	markReceived(t, s)
	if err := s.CreateReplay(t.Context(), &delivery.Replay{Tenant: testTenant, ID: delivery.NewID(s.Now())}, testRetention); err != nil {
		t.Fatal(err)
	}
	call := newCall(s, w, 3, 10, true)
	call.Events[2].ID = uuid.New()
	accepted := mustAccept(t, s, call)
	done := success(s, w, &call.Events[0], &accepted)
	slow := success(s, w, &call.Events[1], &accepted)
	slow.Request.Status, slow.Request.ResponseBody, slow.Slow = delivery.RequestFailed, "no", true
	slow.RetryAt = s.Now().Add(time.Hour)
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{done, slow})...); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteWebhook(t.Context(), gone.Ref()); err != nil {
		t.Fatal(err)
	}
	p, err := s.at(testTenant)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client().SAdd(t.Context(), p.base+"erasing", eventField(testTenant, call.Events[0].ID)).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.NoteEventTypes(t.Context(), testTenant, []string{"alert_active"}, testRetention); err != nil {
		t.Fatal(err)
	}

	call = newCall(s, w, 1, 10, false)
	call.Events[0].Targets[0].Order = delivery.OrderKey{1}
	mustAccept(t, s, call)

	paused = addWebhook(t, s, testTenant)
	call = newCall(s, paused, 1, 10, false)
	mustAccept(t, s, call)
	paused.Enabled, paused.RateLimit = false, &delivery.RateLimit{Requests: 1, Per: time.Hour}
	if err := s.UpdateWebhook(t.Context(), paused, version(s, testTenant)); err != nil {
		t.Fatal(err)
	}
	return w, paused
}

// kindsOfKeys are the types of keys in Redis, by what each begins with after the base.
func kindsOfKeys(w, paused *delivery.Webhook) map[string]string {
	return map[string]string{
		"due:slow": "zset", "paused": "zset", "state": "hash", "rates": "hash", "leases": "zset", "leased:": "set",
		"queue:" + refText(w.Ref()): "zset", "ordered:" + refText(w.Ref()): "hash",
		"pending:" + refText(w.Ref()): "zset", "pending:" + refText(paused.Ref()): "zset",
		"webhooks:" + testTenant: "hash", "changes:" + testTenant: "zset", "events:": "hash", "event:" + testTenant + ":": "string",
		"deliveries:": "hash", "requests:": "hash", "bodies:": "hash",
		"log:" + testTenant + ":": "zset", "log:" + refText(w.Ref()) + ":": "zset",
		"types": "hash", "logs:": "set", "hours": "zset", "days": "zset", "gone": "zset", "ended": "stream", "clock": "string",
		"stats:" + testTenant + ":": "hash", "typesof:" + testTenant: "zset",
		"arrived:" + testTenant + ":": "string", "arrivals:" + testTenant: "zset",
		"audit:" + testTenant: "zset", "audits": "zset", "auditbytes": "hash", "received:": "string",
		"replays:" + testTenant: "hash", "replaying": "zset", "erasing": "set",
	}
}

// wantExpiry checks that only single events, stats and small sets expire: an expiry of a big key would block
// Redis. The key without its base is rest.
func wantExpiry(t *testing.T, s *Store, key, rest string) {
	t.Helper()
	most := time.Duration(0)
	for prefix, kept := range map[string]time.Duration{
		"event:": testRetention + delivery.EventGrace, "stats:": delivery.StatsKept, "received:": receivedFor, "replays:": testRetention,
		"typesof:":  testRetention + delivery.EventGrace + 24*time.Hour,
		"arrived:":  testRetention + delivery.EventGrace + time.Hour,
		"arrivals:": testRetention + delivery.EventGrace + time.Hour,
	} {
		if strings.HasPrefix(rest, prefix) {
			most = kept
		}
	}
	if ttl := max(0, s.client().PTTL(t.Context(), key).Val()); (ttl > 0) != (most > 0) || ttl > most || ttl < most-time.Hour {
		t.Errorf("the key %q expires in %s, want up to %s", key, ttl, most)
	}
}

// TestNothingStays has everything expire. The keys that are left must not be of a kind that
// grows.
func TestNothingStays(t *testing.T) {
	o := options()
	s := open(t, o)
	w := addWebhook(t, s, testTenant)
	if err := s.WriteAuditEntry(t.Context(), auditEntry(s, testTenant, 0)); err != nil {
		t.Fatal(err)
	}
	call := newCall(s, w, 5, 10, true)
	accepted := mustAccept(t, s, call)
	var outcomes []delivery.Outcome
	for i := range call.Events {
		outcome := success(s, w, &call.Events[i], &accepted)
		outcome.Request.ResponseBody = "thanks"
		// The request is dated back.
		age := time.Duration(20+i) * 24 * time.Hour
		outcome.Request.ID = delivery.NewID(s.Now().Add(-age))
		outcome.ReceivedAt = accepted.At.Add(-age)
		outcomes = append(outcomes, outcome)
	}
	if err := errors.Join(s.Complete(t.Context(), outcomes)...); err != nil {
		t.Fatal(err)
	}
	sweepAll(t, s)
	if hours := s.client().ZRange(t.Context(), s.keys.base(0)+"hours", 0, -1).Val(); len(hours) != 1 || !strings.HasPrefix(hours[0], "events:") {
		t.Errorf("there is still something of %q", hours)
	}
	mustSweep(t, s, -4*time.Hour) // as hours later: the events themselves are not dated back
	keys, err := s.client().Keys(t.Context(), o.KeyPrefix+":*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		_, rest, _ := strings.Cut(key, "}:")
		switch kind, _, _ := strings.Cut(rest, ":"); kind {
		case "", "state", "webhooks", "changes", "types", "ended", "swept", "clock":
		case "arrived", "arrivals": // which expire
		default:
			t.Errorf("the key %q is left", key)
		}
	}
}

// TestOtherProcess has two stores on one Redis. One sees within seconds what the other has
// left.
func TestOtherProcess(t *testing.T) {
	o := options()
	here, there := open(t, o), open(t, o)
	w := addWebhook(t, there, testTenant)
	claim(t, here)
	mustAccept(t, there, newCall(there, w, 1, 10, false))
	eventually(t, "the other's delivery is claimed", func() error { return countJobs(claim(t, here), 1) })
	if err := countJobs(claim(t, there), 0); err != nil {
		t.Error(err)
	}
}

// TestKindsOfAside looks for each kind of key in aside.lua: a record of one that it does not know
// would take the whole key with it.
func TestKindsOfAside(t *testing.T) {
	t.Parallel()
	known := readScript("aside")
	known = known[strings.Index(known, "local kinds"):strings.Index(known, "local now")]
	made := regexp.MustCompile(`base \.\. (?:\(\w+ and )?'([a-z]+)`)
	var found int
	for _, script := range []string{"common", "records", "replays", "queues"} {
		for _, kind := range made.FindAllStringSubmatch(readScript(script), -1) {
			found++
			if !regexp.MustCompile(`\b` + kind[1] + ` = '`).MatchString(known) {
				t.Errorf("aside.lua does not know the keys %s", kind[1])
			}
		}
	}
	if found < 30 {
		t.Errorf("only %d kinds of keys are found", found)
	}
}
