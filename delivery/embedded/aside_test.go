package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// scene is a store of which something is damaged, and what it had: 4 tenants with a webhook
// each, one of which is slow and one deleted.
type scene struct {
	*Store
	t       *testing.T
	said    *observer.ObservedLogs
	events  map[string][]uuid.UUID // by tenant
	pending map[uuid.UUID]bool
	errs    []error // of what did not work
}

const slowTenant, goneTenant = "load-2", "load-3"

// newScene fills a store with n events, a multiple of 8, half of which are delivered.
func newScene(t *testing.T, n int) *scene {
	t.Helper()
	s := &scene{t: t, events: make(map[string][]uuid.UUID), pending: make(map[uuid.UUID]bool)}
	s.Store = newKilled(t.TempDir())
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	load := storetest.Load{Store: s.Store, Webhooks: 4}
	load.Begin(t)
	calls, accepted := load.Accept(t, n, true)
	load.Complete(t, calls[:n/2], accepted[:n/2])
	slow := outcome(s.Store, &calls[n/2+2], &accepted[n/2+2])
	slow.RetryAt, slow.Slow = s.Now().Add(-time.Second), true
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{slow})...); err != nil {
		t.Fatal(err)
	}
	for i, c := range calls {
		s.events[c.Tenant] = append(s.events[c.Tenant], c.Events[0].ID)
		if i >= n/2 && c.Tenant != goneTenant {
			s.pending[c.Events[0].ID] = true
		}
	}
	replay := &delivery.Replay{Tenant: slowTenant, ID: delivery.NewID(s.Now()), State: delivery.ReplayRunning}
	if err := s.CreateReplay(t.Context(), replay, time.Hour); err != nil {
		t.Fatal(err)
	}
	gone := calls[3].Events[0].Targets[0].Webhook
	for _, tenant := range []string{slowTenant, goneTenant} {
		if err := s.WriteAuditEntry(t.Context(), auditEntry(s.Store, tenant)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteWebhook(t.Context(), delivery.WebhookRef{Tenant: goneTenant, ID: gone}, auditEntry(s.Store, goneTenant)); err != nil {
		t.Fatal(err)
	}
	return s
}

// reopen opens the store as a new process would.
func (s *scene) reopen() {
	s.t.Helper()
	core, said := observer.New(zapcore.ErrorLevel)
	s.Store, s.said = New(s.folder, WithLogger(zap.New(core))), said
	s.journalSize = 0 // as it is
	if err := s.Open(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// use does all that people and the engine do, none of which may fail. It returns which
// events were to be delivered and were not.
func (s *scene) use() (missing []uuid.UUID) {
	s.t.Helper()
	for tenant, ids := range s.events {
		webhooks, version, err := storetest.Webhooks(s.t.Context(), s, tenant)
		if err != nil {
			s.failed(fmt.Errorf("webhooks: %w", err))
		}
		s.look(tenant, webhooks, ids)
		if _, err := s.AuditEntries(s.t.Context(), tenant, delivery.AuditFilter{Limit: 10}); err != nil {
			s.failed(fmt.Errorf("audit log: %w", err))
		}
		call := delivery.AcceptCall{Tenant: tenant, Version: version, Nonce: uuid.New()}
		for _, id := range []uuid.UUID{uuid.New(), ids[0]} {
			e := delivery.AcceptEvent{ID: id, Type: "alert_active", OccurredAt: s.Now(), Payload: make([]byte, 500)}
			for _, w := range webhooks {
				e.Targets = append(e.Targets, delivery.Target{Webhook: w.ID})
			}
			call.Events = append(call.Events, e)
		}
		r := s.Accept(s.t.Context(), delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Minute, Retention: time.Hour})[0]
		if r.Err != nil {
			s.failed(fmt.Errorf("an emit of %s: %w", tenant, r.Err))
		}
	}
	delivered := s.deliver()
	for id := range s.pending {
		if !delivered[id] {
			missing = append(missing, id)
		}
	}
	if n, err := s.Pending(s.t.Context()); err != nil || n != 0 {
		s.failed(fmt.Errorf("%d deliveries are still pending, %w", n, err))
	}
	return missing
}

// failed notes that something did not work. That may be only if pages are damaged, and health
// says so.
func (s *scene) failed(err error) {
	s.t.Helper()
	s.errs = append(s.errs, err)
	if s.Ping(s.t.Context(), 0) == nil {
		s.t.Error(err)
	}
}

// look reads all that is shown of a tenant.
func (s *scene) look(tenant string, webhooks []*delivery.Webhook, ids []uuid.UUID) {
	s.t.Helper()
	filters := []delivery.RequestFilter{{Limit: 100}, {Limit: 100, EventType: "alert_active"}}
	for _, id := range ids {
		if _, _, err := s.Event(s.t.Context(), tenant, id); err != nil && !errors.Is(err, delivery.ErrNotFound) {
			s.failed(fmt.Errorf("event: %w", err))
		}
		filters = append(filters, delivery.RequestFilter{EventID: id, Limit: 100})
	}
	for _, w := range webhooks {
		filters = append(filters, delivery.RequestFilter{WebhookID: w.ID, Limit: 100})
		if _, err := s.WebhookRequests(s.t.Context(), tenant, []uuid.UUID{w.ID}, s.Now().Add(-time.Hour)); err != nil {
			s.failed(fmt.Errorf("counts: %w", err))
		}
	}
	for _, f := range filters {
		page, err := s.Requests(s.t.Context(), tenant, f)
		if err != nil {
			s.failed(fmt.Errorf("a page of %s: %w", tenant, err))
		}
		for i := range page.Requests {
			if _, err := s.Request(s.t.Context(), tenant, page.Requests[i].ID); err != nil {
				s.failed(fmt.Errorf("a row of it: %w", err))
			}
		}
	}
	for _, oldest := range []bool{true, false} {
		if _, err := s.Events(s.t.Context(), tenant, delivery.EventFilter{OldestFirst: oldest, Limit: 1000}); err != nil {
			s.failed(fmt.Errorf("events: %w", err))
		}
	}
	if _, err := s.RequestCounts(s.t.Context(), tenant, s.Now().Add(-time.Hour)); err != nil {
		s.failed(fmt.Errorf("counts: %w", err))
	}
}

// deliver claims and delivers all that is due.
func (s *scene) deliver() (delivered map[uuid.UUID]bool) {
	s.t.Helper()
	delivered = make(map[uuid.UUID]bool)
	for range 100 {
		claimed, err := s.Claim(s.t.Context(), 0, delivery.Room{Fast: 7, Slow: 7, PerWebhook: 7, Lease: time.Minute})
		if err != nil {
			s.failed(fmt.Errorf("claim: %w", err))
		}
		if len(claimed.Jobs) == 0 && claimed.Next > 0 {
			return delivered
		}
		var outcomes []delivery.Outcome
		for i := range claimed.Jobs {
			job := &claimed.Jobs[i]
			if !bytes.Equal(job.Event.Payload, make([]byte, 500)) || job.Event.Type != "alert_active" || job.Webhook.Tenant != job.Event.Tenant ||
				job.Webhook.URL != "https://example.com/hook" {
				s.t.Errorf("another event is delivered: %+v", job.Event)
			}
			delivered[job.Event.ID] = true
			outcomes = append(outcomes, delivery.Outcome{
				Request: delivery.Request{
					Tenant: job.Webhook.Tenant, ID: delivery.NewID(s.Now()), WebhookID: job.Webhook.ID, EventID: job.Event.ID, EventType: job.Event.Type,
					Trigger: delivery.TriggerEvent, Attempt: job.Attempt, MaxAttempts: 3, Status: delivery.RequestSuccess, StatusCode: 200,
				},
				ReceivedAt: job.Event.ReceivedAt, LeaseEnd: job.LeaseEnd,
			})
		}
		if err := errors.Join(s.Complete(s.t.Context(), outcomes)...); err != nil {
			s.failed(fmt.Errorf("complete: %w", err))
		}
	}
	s.failed(errors.New("deliveries come again and again"))
	return delivered
}

// sweepAll removes everything.
func (s *scene) sweepAll() {
	s.t.Helper()
	for more, steps := true, 0; more; steps++ {
		var err error
		if more, err = s.Sweep(s.t.Context(), -2*delivery.EventGrace); err != nil || steps > 100 {
			s.t.Fatalf("Sweep after %d steps: %v", steps, err)
		}
	}
}

// poisons change a record of a bucket.
var poisons = map[string]func(k, v []byte) (key, value []byte){
	"value flipped": func(k, v []byte) ([]byte, []byte) { return k, flipped(v, int64(len(v)/2)) },
	"key flipped":   func(k, v []byte) ([]byte, []byte) { return flipped(k, int64(len(k)-1)), v },
	"truncated":     func(k, v []byte) ([]byte, []byte) { return k, v[:len(v)/2] },
	"emptied":       func(k, _ []byte) ([]byte, []byte) { return k, nil },
	"other's":       nil, // the value is that of another key
}

// poison changes the first record of a bucket.
func (s *scene) poison(bucket []byte, how func(k, v []byte) (key, value []byte)) {
	s.t.Helper()
	db, err := bolt.Open(filepath.Join(s.folder, fileName), 0o600, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucket)
		k, v := b.Cursor().First()
		if bytes.Equal(bucket, metaBucket) {
			k, v = b.Cursor().Seek(journalKey)
		}
		if k == nil {
			s.t.Fatalf("%s is empty", bucket)
		}
		k, v = slices.Clone(k), slices.Clone(v)
		if how == nil {
			_, v = b.Cursor().Last()
			return b.Put(append(k, 0), slices.Clone(v))
		}
		key, value := how(k, v)
		return errors.Join(b.Delete(k), b.Put(key, value))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// TestPoison changes one record of each bucket in each way. All that does not need it goes
// on, and what is lost is said.
func TestPoison(t *testing.T) {
	lost := map[string]int{"events": 1, "webhooks": 5}            // at most
	unseen := []string{"ids", "deliveries", "requests", "strips"} // nobody looks at a key that is not an id
	for _, bucket := range allBuckets {
		if bytes.Equal(bucket, asideBucket) {
			continue // TestPoisonAside
		}
		for how, change := range poisons {
			t.Run(fmt.Sprintf("%s/%s", bucket, how), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, 40)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s.poison(bucket, change)
				if bytes.Equal(bucket, metaBucket) && how != "other's" {
					openError(t, New(s.folder), "caddy webhooks check")
					return
				}
				s.reopen()
				missing := s.use()
				if err := s.Ping(t.Context(), 0); err != nil {
					t.Errorf("Ping: %v", err)
				}
				s.checkSaid(string(bucket), slices.Contains(unseen, string(bucket)) && strings.HasPrefix(how, "key") || how == "other's", missing)
				if len(missing) > lost[string(bucket)] {
					t.Errorf("%d events were not delivered", len(missing))
				}
				s.sweepAll()
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s.reopen()
				s.use()
				if n := s.said.Len(); n > 0 && how != "other's" {
					t.Errorf("after a restart it is said again: %v", s.said.All())
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// TestPoisonAside changes what was set aside, in each way: nobody needs it, so that nothing is
// lost by that, and nothing is said.
func TestPoisonAside(t *testing.T) {
	for how, change := range poisons {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, 40)
			for _, bucket := range [][]byte{requestsBucket, asideBucket} {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if bytes.Equal(bucket, asideBucket) {
					s.poison(bucket, change)
				} else {
					s.poison(bucket, poisons["value flipped"])
				}
				s.reopen()
				if missing := s.use(); len(missing) > 0 {
					t.Errorf("not delivered: %v", missing)
				}
				s.pending = nil // all are delivered
			}
			if lines := s.said.All(); len(lines) > 0 || s.SetAside() > 0 {
				t.Errorf("%d records were set aside; the log says %v", s.SetAside(), lines)
			}
			s.sweepAll()
			if err := errors.Join(s.Ping(t.Context(), 0), s.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkSaid checks that the log names a record that was set aside, and the events that are
// missing or their webhook.
func (s *scene) checkSaid(bucket string, unseen bool, missing []uuid.UUID) {
	s.t.Helper()
	lines := s.said.All()
	if int64(len(lines)) < s.SetAside() || s.SetAside() == 0 && !unseen {
		s.t.Errorf("%d records were set aside, and the log says %v", s.SetAside(), lines)
	}
	var said strings.Builder
	for _, l := range lines {
		fields := l.ContextMap()
		fmt.Fprintln(&said, l.Message, fields)
		if b, ok := fields["bucket"]; ok && b != bucket {
			s.t.Errorf("the log names the bucket %v", b)
		}
	}
	for _, id := range missing {
		if !strings.Contains(said.String(), id.String()) && !strings.Contains(said.String(), "webhook_number") {
			s.t.Errorf("the log does not name the event %s: %s", id, said.String())
		}
	}
}
