package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// openError checks why a store cannot be opened.
func openError(t *testing.T, s *Store, want string) {
	t.Helper()
	err := s.Open(t.Context())
	if !errors.Is(err, delivery.ErrUnavailable) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want it to say %q", err, want)
	}
	if err := s.Ping(t.Context(), 0); !errors.Is(err, delivery.ErrUnavailable) {
		t.Errorf("Ping: %v", err)
	}
}

func TestFileModes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	open(t, folder)
	for path, want := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, fileName): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

// TestSecondProcess opens a file that is open already: to the lock, another descriptor is
// the same as another process.
func TestSecondProcess(t *testing.T) {
	folder := t.TempDir()
	first, second := open(t, folder), New(folder)
	openError(t, second, "another process has")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLaterVersion(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	if err := s.write(alone, func(t *txn) error {
		t.whole = true
		return errors.Join(t.journaled(slowBucket).put([]byte("k"), nil), t.tx.Bucket(metaBucket).Put(schemaKey, number4(encryptedVersion+1)))
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openError(t, New(folder), "use the version that wrote it")
}

// TestDamaged opens files that are damaged. Opening must not change them.
func TestDamaged(t *testing.T) {
	whole := t.TempDir()
	s := New(whole)
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	load := storetest.Load{Store: s}
	load.Begin(t)
	for range 20 {
		load.Accept(t, 100, false)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(whole, fileName))
	if err != nil {
		t.Fatal(err)
	}
	zeros := func(from, to int) []byte {
		b := bytes.Clone(content)
		clear(b[from:to])
		return b
	}
	for name, damaged := range map[string][]byte{
		"another file":               []byte(strings.Repeat("This is no database. ", 1000)),
		"beginning lost":             zeros(0, 2*os.Getpagesize()),
		"end lost":                   content[:len(content)/2],
		"all but the beginning lost": zeros(2*os.Getpagesize(), len(content)),
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, fileName)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			openError(t, New(folder), "restore its folder from a backup")
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, damaged) {
				t.Errorf("the file was changed, or cannot be read: %v", err)
			}
		})
	}
}

// TestReopen checks that everything is there after a restart, and that what was held is
// due.
func TestReopen(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	load := storetest.Load{Store: s}
	load.Begin(t)
	calls, accepted := load.Accept(t, 4, true)
	load.Complete(t, calls[:1], accepted[:1])
	at := s.Now().Add(time.Hour)
	retried := outcome(s, &calls[1], &accepted[1])
	retried.RetryAt = at
	slow := outcome(s, &calls[2], &accepted[2])
	slow.RetryAt, slow.Slow = s.Now().Add(-time.Second), true
	if err := errors.Join(s.Complete(t.Context(), []delivery.Outcome{retried, slow})...); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, folder)
	if n, err := s.Pending(t.Context()); err != nil || n != 3 {
		t.Errorf("%d pending, %v, want 3", n, err)
	}
	claimed, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 10, Slow: 10, PerWebhook: 10, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	// A slow webhook gets one at a time, in order of their due times.
	if len(claimed.Jobs) != 1 || !claimed.Jobs[0].Slow || claimed.Jobs[0].Event.ID != calls[3].Events[0].ID || claimed.Jobs[0].Attempt != 1 {
		t.Fatalf("claimed %+v, want the delivery that was held", claimed.Jobs)
	}
	if want := accepted[3].At; !claimed.Jobs[0].Due.Equal(want) {
		t.Errorf("it fell due at %s, want when it was received, %s", claimed.Jobs[0].Due, want)
	}
	_, deliveries, err := s.Event(t.Context(), "load-0", calls[1].Events[0].ID)
	if err != nil || len(deliveries) != 1 || deliveries[0].NextAttemptAt.UnixMilli() != at.UnixMilli() || deliveries[0].Attempts != 1 {
		t.Errorf("the retry is %+v, %v, want one at %s", deliveries, err, at)
	}
	page, err := s.Requests(t.Context(), "load-0", delivery.RequestFilter{Limit: 10})
	if err != nil || len(page.Requests) != 3 {
		t.Errorf("the log has %d rows, %v, want 3", len(page.Requests), err)
	}
}

// outcome is a failed first attempt.
func outcome(s *Store, c *delivery.AcceptCall, a *delivery.Accepted) delivery.Outcome {
	e := &c.Events[0]
	return delivery.Outcome{
		Request: delivery.Request{
			Tenant: c.Tenant, ID: delivery.NewID(s.Now()), WebhookID: e.Targets[0].Webhook, EventID: e.ID, EventType: e.Type,
			Trigger: delivery.TriggerEvent, Attempt: 1, MaxAttempts: 3, Status: delivery.RequestFailed, StatusCode: 500,
		},
		ReceivedAt: a.At, LeaseEnd: a.LeaseEnd,
	}
}

// checkpoint commits everything to the database, so that its pages can be checked.
func checkpoint(t *testing.T, s *Store) {
	t.Helper()
	if err := s.write(alone, func(*txn) error { return s.checkpoint() }); err != nil {
		t.Fatal(err)
	}
}

// TestDeletedReopened restarts between the deletion of a webhook and the removal of its
// rows, none of which must stay.
func TestDeletedReopened(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	load := storetest.Load{Store: s, Webhooks: 2}
	load.Begin(t)
	calls, accepted := load.Accept(t, 2000, true)
	load.Complete(t, calls[:1500], accepted[:1500])
	gone := delivery.WebhookRef{Tenant: calls[0].Tenant, ID: calls[0].Events[0].Targets[0].Webhook}
	if err := s.DeleteWebhook(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), 24*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint(t, s)
	want := map[string]int{"pending": 250, "requests": 750, "gone": 0, "webhooks": 1}
	if err := s.read(func(v *view) error {
		if n := len(loggedRows(v)); n != 1500 {
			t.Errorf("%d rows are left in the log, want 1500", n)
		}
		for name, n := range want {
			if got := v.tx.Bucket([]byte(name)).Stats().KeyN; got != n {
				t.Errorf("%d keys are left in %s, want %d", got, name, n)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
