package embedded

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	bolt "go.etcd.io/bbolt"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// The files in testdata were left by killed processes of versions with layouts 1 and 2: 2
// tenants with a webhook each, 30 events, 15 of which were delivered, and 2 attempts that
// failed. A third of it is in the journal alone.
const oldPending, oldRequests, layout1Journaled = 15, 17, 6

var oldAt = time.Date(2026, 11, 29, 11, 0, 30, 0, time.UTC)

// layout1 makes a folder with the files of layout 1, and layout2 of layout 2.
func layout1(t *testing.T) (folder string) { return unpacked(t, "layout1-") }
func layout2(t *testing.T) (folder string) { return unpacked(t, "layout2-") }

func unpacked(t *testing.T, prefix string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for _, name := range []string{fileName, journalName} {
		packed, err := os.ReadFile(filepath.Join("testdata", prefix+name+".gz"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// at makes a store whose clock stands.
func at(folder string, now time.Time) *Store {
	s := New(folder)
	s.clock.read = func() (time.Time, time.Duration) { return now, 0 }
	return s
}

// wantOld opens the files of an earlier layout and checks that everything is there. Counted is
// how many of the requests are counted.
func wantOld(t *testing.T, folder string, counted int64) {
	t.Helper()
	s := opened(t, at(folder, oldAt))
	if err := s.Ping(t.Context(), 0); err != nil || s.SetAside() != 0 {
		t.Errorf("%v, %d records were set aside", err, s.SetAside())
	}
	requests, events := 0, 0
	var counts int64
	for _, tenant := range []string{"load-0", "load-1"} {
		webhooks, version, err := storetest.Webhooks(t.Context(), s, tenant)
		if err != nil || len(webhooks) != 1 || version != 1 || webhooks[0].Secret != "s3cret" {
			t.Fatalf("%+v, version %d, %v", webhooks, version, err)
		}
		page, err := s.Requests(t.Context(), tenant, delivery.RequestFilter{Limit: 100, WebhookID: webhooks[0].ID})
		if err != nil {
			t.Fatal(err)
		}
		requests += len(page.Requests)
		slices, err := s.RequestCounts(t.Context(), tenant, oldAt.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		hours, err := s.WebhookRequests(t.Context(), tenant, []uuid.UUID{webhooks[0].ID}, oldAt.Add(-time.Hour))
		if err != nil || len(hours[0].Hours) == 0 {
			t.Fatal(hours, err)
		}
		for _, c := range slices {
			counts += c.N
		}
	}
	for batch, err := range s.Export(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		events += len(batch.Events)
		for i := range batch.Events {
			if !bytes.Equal(batch.Events[i].Payload, make([]byte, 500)) {
				t.Error("the payload is another one")
			}
		}
	}
	pending, err := s.Pending(t.Context())
	if err != nil || requests != oldRequests || counts != counted || events != 30 || pending != oldPending {
		t.Errorf("%d requests, %d of them counted, %d events, %d pending, %v", requests, counts, events, pending, err)
	}
	claimed, err := s.Claim(t.Context(), 0, delivery.Room{Fast: 100, PerWebhook: 100, Lease: time.Minute})
	if err != nil || len(claimed.Jobs) != oldPending-2 {
		t.Errorf("%d deliveries are due, %v", len(claimed.Jobs), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := opened(t, at(folder, oldAt))
	if pending, err := again.Pending(t.Context()); err != nil || pending != oldPending {
		t.Errorf("%d pending after a restart, %v", pending, err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestUpgrade(t *testing.T) {
	wantOld(t, layout1(t), oldRequests)
}

// TestUpgradeWithoutCounts opens a file from a version without counters.
func TestUpgradeWithoutCounts(t *testing.T) {
	folder := layout1(t)
	db, err := bolt.Open(filepath.Join(folder, fileName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return errors.Join(tx.DeleteBucket(statsBucket), tx.DeleteBucket(stripsBucket))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	wantOld(t, folder, layout1Journaled)
}

// TestUpgradeInterrupted interrupts the upgrade after each of its steps.
func TestUpgradeInterrupted(t *testing.T) {
	for steps := 0; ; steps++ {
		folder := layout1(t)
		s := at(folder, oldAt)
		ctx := &ends{Context: t.Context(), after: steps}
		err := s.Open(ctx)
		if err == nil {
			if err := s.Close(); err != nil || steps < len(allBuckets) {
				t.Errorf("opened after %d steps, %v", steps, err)
			}
			break
		}
		if !errors.Is(err, delivery.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		wantOld(t, folder, oldRequests)
	}
}

// ends is a context that is canceled when it has been looked at often enough.
type ends struct {
	context.Context
	after int
}

func (c *ends) Err() error {
	if c.after--; c.after < 0 {
		return context.Canceled
	}
	return nil
}

// TestUpgradeKilledLate ends the process when the database is upgraded, but the journal is
// not, or only half of it was written.
func TestUpgradeKilledLate(t *testing.T) {
	for _, half := range []bool{false, true} {
		folder := layout1(t)
		s := at(folder, oldAt)
		db, _, err := s.openFile()
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(beginUpgrade); err != nil {
			t.Fatal(err)
		}
		for _, name := range allBuckets[1:] {
			for more := true; more; {
				if err := db.Update(func(tx *bolt.Tx) (err error) {
					more, err = moveRecords(tx, name)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := db.Update(func(tx *bolt.Tx) error {
			_, _, err := s.replaceBuckets(tx)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if half {
			if err := os.WriteFile(filepath.Join(folder, journalName), make([]byte, 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		wantOld(t, folder, oldRequests)
	}
}
