package redis

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

const (
	testTenant    = "acme"
	testLease     = time.Hour
	testRetention = 14 * 24 * time.Hour
)

func addWebhook(t testing.TB, s *Store, tenant string) *delivery.Webhook {
	t.Helper()
	now := s.Now().Truncate(time.Millisecond)
	w := &delivery.Webhook{
		Tenant: tenant, ID: delivery.NewID(s.Now()), URL: "https://example.com/hook", Secret: "s3cret",
		Enabled: true, EventTypes: []string{delivery.AllEventTypes}, CreatedAt: now, UpdatedAt: now,
	}
	if err := s.CreateWebhook(context.Background(), w, delivery.MaxWebhooks); err != nil {
		t.Fatal(err)
	}
	return w
}

// newCall makes a call with n events for the webhook, at the present version of the set.
func newCall(s *Store, w *delivery.Webhook, n, size int, lease bool) delivery.AcceptCall {
	call := delivery.AcceptCall{Tenant: w.Tenant, Version: version(s, w.Tenant), Nonce: uuid.New(), Events: make([]delivery.AcceptEvent, n)}
	for i := range call.Events {
		call.Events[i] = delivery.AcceptEvent{
			ID: delivery.NewID(s.Now()), Type: "alert_active", OccurredAt: s.Now(),
			Payload: make([]byte, size), Targets: []delivery.Target{{Webhook: w.ID, Lease: lease}},
		}
	}
	return call
}

// version is that of a tenant's webhooks, or 0 if it cannot be read.
func version(s *Store, tenant string) int64 {
	_, n, _ := storetest.Webhooks(context.Background(), s, tenant)
	return n
}

func accept(s *Store, calls ...delivery.AcceptCall) delivery.Accepted {
	return s.Accept(context.Background(), delivery.AcceptBatch{Calls: calls, Lease: testLease, Retention: testRetention})[0]
}

func mustAccept(t testing.TB, s *Store, call delivery.AcceptCall) delivery.Accepted {
	t.Helper()
	result := accept(s, call)
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	return result
}

// claim claims in all partitions.
func claim(t testing.TB, s *Store) (jobs []delivery.Job) {
	t.Helper()
	for partition := range s.Partitions() {
		claimed, err := s.Claim(context.Background(), partition, delivery.Room{Fast: 100, Slow: 100, PerWebhook: 100, Lease: testLease})
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, claimed.Jobs...)
	}
	return jobs
}

// success is the outcome of an event's first attempt.
func success(s *Store, w *delivery.Webhook, e *delivery.AcceptEvent, a *delivery.Accepted) delivery.Outcome {
	return delivery.Outcome{
		Request: delivery.Request{
			Tenant: w.Tenant, ID: delivery.NewID(s.Now()), WebhookID: w.ID, EventID: e.ID, EventType: e.Type,
			OccurredAt: e.OccurredAt, Trigger: delivery.TriggerEvent, Attempt: 1, MaxAttempts: 3,
			Status: delivery.RequestSuccess, StatusCode: 200, URL: w.URL, Duration: 5 * time.Millisecond,
		},
		ReceivedAt: a.At, LeaseEnd: a.LeaseEnd,
	}
}

// eventually waits for something that must happen, on a machine that may be busy.
func eventually(t testing.TB, what string, done func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err = done(); err == nil {
			return
		}
	}
	t.Fatalf("still not so: %s: %v", what, err)
}

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func countJobs(jobs []delivery.Job, n int) error {
	if len(jobs) != n {
		return fmt.Errorf("%d jobs, want %d", len(jobs), n)
	}
	return nil
}

// sweepAll takes steps until there is nothing more to remove.
func sweepAll(t *testing.T, s *Store) {
	t.Helper()
	mustSweep(t, s, testRetention)
}

// mustSweep does the same with another retention.
func mustSweep(t *testing.T, s *Store, retention time.Duration) {
	t.Helper()
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), retention); err != nil {
			t.Fatal(err)
		}
	}
}
