package redis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

func TestFull(t *testing.T) {
	full := redistest.Start(t, "--maxmemory-policy", "noeviction")
	s := open(t, Options{Addresses: []string{full.Addr}})
	w := addWebhook(t, s, testTenant)
	held := newCall(s, w, 3, 100, true)
	accepted := mustAccept(t, s, held)
	mustAccept(t, s, newCall(s, w, 1, 100, false))

	// Less than it holds already.
	if err := s.client().ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "Accept", accept(s, newCall(s, w, 1, 10, false)).Err, delivery.ErrFull)
	other := *w
	other.ID = delivery.NewID(s.Now())
	wantError(t, "CreateWebhook", s.CreateWebhook(t.Context(), &other, delivery.MaxWebhooks), delivery.ErrFull)

	wantError(t, "WriteAuditEntry", s.WriteAuditEntry(t.Context(), auditEntry(s, testTenant, 0)), delivery.ErrFull)

	// Everything that empties it still works.
	outcome := success(s, w, &held.Events[0], &accepted)
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{outcome})...); err != nil {
		t.Errorf("Complete: %v", err)
	}
	if _, err := s.Request(t.Context(), testTenant, outcome.Request.ID); err != nil {
		t.Errorf("Request: %v", err)
	}
	lease := delivery.Lease{Webhook: w.Ref(), EventID: held.Events[1].ID, LeaseEnd: accepted.LeaseEnd}
	if err := s.Release(t.Context(), []delivery.Lease{lease}); err != nil {
		t.Errorf("Release: %v", err)
	}
	if len(claim(t, s)) == 0 {
		t.Error("nothing was claimed")
	}
	if page, err := s.Requests(t.Context(), testTenant, delivery.RequestFilter{Limit: 10}); err != nil || len(page.Requests) != 1 {
		t.Errorf("Requests: %+v, %v", page, err)
	}
	paused := *w
	paused.Enabled = false
	changed := auditEntry(s, testTenant, 0)
	if err := s.UpdateWebhook(t.Context(), &paused, version(s, testTenant), changed); err != nil {
		t.Errorf("UpdateWebhook: %v", err)
	}
	wantAudits(t, s, testTenant, changed)
	if _, err := s.Sweep(t.Context(), testRetention); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	// A new process can open it, too.
	open(t, Options{Addresses: []string{full.Addr}})
	if err := s.DeleteWebhook(t.Context(), w.Ref()); err != nil {
		t.Errorf("DeleteWebhook: %v", err)
	}
}

func TestScriptsLost(t *testing.T) {
	o := options()
	o.Partitions = 2
	s := open(t, o)
	a, b := addWebhook(t, s, "a"), addWebhook(t, s, "b")
	if partitionOf("a", 2) == partitionOf("b", 2) {
		t.Fatal("the tenants are in one partition")
	}
	flush := func() {
		t.Helper()
		if err := s.client().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	flush()
	call := newCall(s, a, 1, 10, true)
	accepted := mustAccept(t, s, call)
	flush()
	// Two scripts in one pipeline.
	for _, result := range s.Accept(t.Context(), delivery.AcceptBatch{
		Calls: []delivery.AcceptCall{newCall(s, a, 1, 10, false), newCall(s, b, 1, 10, false)},
		Lease: testLease, Retention: testRetention,
	}) {
		if result.Err != nil {
			t.Error(result.Err)
		}
	}
	flush()
	if err := countJobs(claim(t, s), 2); err != nil {
		t.Error(err)
	}
	flush()
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{success(s, a, &call.Events[0], &accepted)})...); err != nil {
		t.Error(err)
	}
	flush()
	if page, err := s.Requests(t.Context(), "a", delivery.RequestFilter{Limit: 10}); err != nil || len(page.Requests) != 1 {
		t.Errorf("Requests: %+v, %v", page, err)
	}
}

func TestKilled(t *testing.T) {
	redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, Options{Addresses: []string{redis.Addr}})
	w := addWebhook(t, s, testTenant)
	first := mustAccept(t, s, newCall(s, w, 1, 10, false))
	lost := newCall(s, w, 1, 10, false)
	redis.Kill()

	eventually(t, "the store says that Redis is not there", func() error {
		// The first use of a dead connection returns a less precise error.
		if err := accept(s, lost).Err; !errors.Is(err, delivery.ErrUnavailable) {
			return err
		}
		return nil
	})
	_, claimErr := s.Claim(t.Context(), 0, delivery.Room{Fast: 1, PerWebhook: 1, Lease: testLease})
	_, _, eventErr := s.Event(t.Context(), testTenant, lost.Events[0].ID)
	_, _, hooksErr := storetest.Webhooks(t.Context(), s, testTenant)
	_, requestsErr := s.Requests(t.Context(), testTenant, delivery.RequestFilter{Limit: 1})
	_, sweepErr := s.Sweep(t.Context(), testRetention)
	for what, err := range map[string]error{
		"Ping": s.Ping(t.Context(), 0), "Claim": claimErr, "Event": eventErr,
		"Webhooks": hooksErr, "Requests": requestsErr, "Sweep": sweepErr,
	} {
		wantError(t, what, err, delivery.ErrUnavailable)
	}

	if err := redis.Restart(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the store is back", func() error { return s.Ping(t.Context(), 0) })
	if result := accept(s, lost); result.Err != nil || result.Events[0].Duplicate || result.Events[0].Repeated {
		t.Errorf("what was refused, again: %+v", result)
	}
	eventually(t, "both events are claimed", func() error { return countJobs(claim(t, s), 2) })
	if first.At.After(s.Now().Add(time.Minute)) {
		t.Error("the clock went back")
	}
}

// TestHanging lets Redis accept commands but not answer: it is unknown whether they were
// run, and repeating the call must do nothing twice.
func TestHanging(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := open(t, Options{Addresses: []string{redis.Addr}})
	w := addWebhook(t, s, testTenant)
	call := newCall(s, w, 2, 10, false)
	mustAccept(t, s, newCall(s, w, 1, 10, false)) // the script and a connection are there
	if err := redis.Freeze(); err != nil {
		t.Fatal(err)
	}
	// The time for an exchange begins when it does: on a busy machine, the call's own might end
	// before anything is sent.
	result := accept(s, call)
	if result.Err == nil || errors.Is(result.Err, delivery.ErrUnavailable) || errors.Is(result.Err, delivery.ErrFull) {
		t.Errorf("an answer that did not come: %v; want an error that leaves the outcome open", result.Err)
	}
	if err := redis.Thaw(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Redis has run what it was sent", func() error {
		_, _, err := s.Event(t.Context(), testTenant, call.Events[1].ID)
		return err
	})
	again := mustAccept(t, s, call)
	for i, e := range again.Events {
		if !e.Repeated || e.Deliveries != 1 {
			t.Errorf("event %d of the call made again: %+v", i, e)
		}
	}
	eventually(t, "three deliveries are due", func() error { return countJobs(claim(t, s), 3) })
}

func TestNotOpen(t *testing.T) {
	s := New(options())
	defer s.Close()
	w := &delivery.Webhook{Tenant: testTenant}
	_, claimErr := s.Claim(t.Context(), 0, delivery.Room{Fast: 1, PerWebhook: 1})
	for what, err := range map[string]error{
		"Ping": s.Ping(t.Context(), 0), "Claim": claimErr,
		"Accept":        accept(s, delivery.AcceptCall{Tenant: testTenant}).Err,
		"CreateWebhook": s.CreateWebhook(t.Context(), w, delivery.MaxWebhooks),
		"Complete":      errors.Join(s.Complete(t.Context(), make([]delivery.Outcome, 1))...),
	} {
		wantError(t, what, err, delivery.ErrUnavailable)
	}
	if s.Now().IsZero() {
		t.Error("no clock before Open")
	}
}

func TestClosed(t *testing.T) {
	s := New(options())
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "Ping", s.Ping(t.Context(), 0), delivery.ErrUnavailable)
}

func TestPassword(t *testing.T) {
	redis := redistest.Start(t, "--requirepass", "correct-horse")
	for _, password := range []string{"", "battery-staple"} {
		s := New(Options{Addresses: []string{redis.Addr}, Password: password})
		err := s.Open(t.Context())
		wantError(t, "Open", err, delivery.ErrUnavailable)
		if password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error has the password: %v", err)
		}
		if !strings.Contains(err.Error(), "password") {
			t.Errorf("the error does not speak of a password: %v", err)
		}
		s.Close()
	}
	open(t, Options{Addresses: []string{redis.Addr}, Password: "correct-horse"})
}

// One record that cannot be read must not hold back the others that were leased.
func TestUnreadableRecord(t *testing.T) {
	s := open(t, options())
	const webhooks = 10
	for i := range webhooks {
		w := addWebhook(t, s, fmt.Sprint(testTenant, i))
		call := newCall(s, w, 1, 10, false)
		if i == 1 {
			call.Events[0].ID = uuid.New()
		}
		mustAccept(t, s, call)
		p, err := s.at(w.Tenant)
		if err != nil {
			t.Fatal(err)
		}
		switch id := call.Events[0].ID; i {
		case 0:
			span, _ := idSpan(id)
			key, field := eventsKey(p.base, span), eventField(w.Tenant, id)
			value := []byte(s.client().HGet(t.Context(), key, field).Val())
			copy(value[expirySize+eventHeadSize:], "\xff\xff")
			s.client().HSet(t.Context(), key, field, value)
		case 1:
			s.client().SetRange(t.Context(), eventKey(p.base, w.Tenant, id), int64(eventHeadSize), "\xff\xff")
		}
	}
	if n := len(claim(t, s)); n != webhooks-2 {
		t.Errorf("%d of %d good deliveries were handed over", n, webhooks-2)
	}
	if n := s.SetAside(); n != 2 {
		t.Errorf("%d records were set aside, want 2", n)
	}
}
