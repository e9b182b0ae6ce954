package embedded

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// loggedRows gives the rows that the log has, each as often as it has it.
func loggedRows(v *view) (ids []uuid.UUID) {
	c := v.bucket(logBucket).cursor()
	for k, value := c.First(); k != nil; k, value = c.Next() {
		packedLog.each(k, value, func(key, _ []byte) { ids = append(ids, uuid.UUID(key[kindSize:])) })
	}
	return ids
}

// outcomesIn gives outcomes of first attempts that began within a time, some of which failed,
// in the order of their ids.
func outcomesIn(s *Store, calls []delivery.AcceptCall, accepted []delivery.Accepted, within time.Duration) []delivery.Outcome {
	outcomes := make([]delivery.Outcome, len(calls))
	now := s.Now()
	for i := range calls {
		o := outcome(s, &calls[i], &accepted[i])
		o.Request.ID = delivery.NewID(now.Add(rand.N(within)))
		if i%3 > 0 {
			o.Request.Status, o.Request.StatusCode = delivery.RequestSuccess, 200
		}
		outcomes[i] = o
	}
	slices.SortFunc(outcomes, func(a, b delivery.Outcome) int {
		return bytes.Compare(a.Request.ID[:], b.Request.ID[:])
	})
	return outcomes
}

// TestLogEntries reads and removes rows that entries have together, in any order: some of the
// same span were written later than others that began after them.
func TestLogEntries(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	calls, accepted := load.Accept(t, 900, true)
	outcomes := outcomesIn(s, calls, accepted, 200*time.Millisecond)
	for _, batch := range slices.Collect(slices.Chunk(rand.Perm(len(outcomes)), 300)) {
		var some []delivery.Outcome
		for _, i := range batch {
			some = append(some, outcomes[i])
		}
		if err := errors.Join(s.Complete(t.Context(), some)...); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint(t, s)
	if err := s.read(func(v *view) error {
		if n := v.tx.Bucket(logBucket).Stats().KeyN; n > 200 {
			t.Errorf("%d rows take %d keys", len(outcomes), n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	wantPages(t, s, outcomes)
	for len(outcomes) > 0 { // what remains is younger than what Sweep removes
		n := min(len(outcomes), 1+rand.IntN(300))
		if err := s.write(alone, func(tx *txn) error {
			tx.whole = true
			step := sweep{store: s, txn: tx}
			for i := range outcomes[:n] {
				if err := step.request(outcomes[i].Request.ID); err != nil {
					return err
				}
			}
			return step.packed()
		}); err != nil {
			t.Fatal(err)
		}
		outcomes = outcomes[n:]
		wantPages(t, s, outcomes)
	}
	if err := s.read(func(v *view) error {
		if left := loggedRows(v); len(left) > 0 {
			t.Errorf("%d rows are left in the log", len(left))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// wantPages reads the log with filters, page by page.
func wantPages(t *testing.T, s *Store, outcomes []delivery.Outcome) {
	t.Helper()
	if len(outcomes) == 0 {
		return
	}
	middle := &outcomes[len(outcomes)/2].Request
	for _, f := range []delivery.RequestFilter{
		{},
		{WebhookID: middle.WebhookID},
		{Status: delivery.RequestFailed, EventType: middle.EventType},
		{Since: middle.StartedAt()},
		{Until: middle.StartedAt()},
	} {
		var want, got []uuid.UUID
		for i := range slices.Backward(outcomes) {
			r := &outcomes[i].Request
			at := r.StartedAt()
			if (f.Status == "" || f.Status == r.Status) && !at.Before(f.Since) && (f.Until.IsZero() || at.Before(f.Until)) {
				want = append(want, r.ID)
			}
		}
		f.Limit = 37
		for {
			page, err := s.Requests(t.Context(), middle.Tenant, f)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Requests {
				got = append(got, page.Requests[i].ID)
			}
			if f.Before = page.Next; page.Next == uuid.Nil {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: %d rows, want %d, or another order", f, len(got), len(want))
		}
	}
}

// TestLayout2 opens the files of a version that had a key for each record.
func TestLayout2(t *testing.T) {
	folder := layout2(t)
	if report := checked(t, folder); len(report.Damages) > 0 {
		t.Errorf("Check: %q", report.Damages)
	}
	to := t.TempDir()
	if report, err := Salvage(t.Context(), folder, to); err != nil || len(report.Damages) > 0 {
		t.Errorf("Salvage: %v, %v", report, err)
	}
	wantOld(t, to, oldRequests)
	wantOld(t, folder, oldRequests)
	s := opened(t, at(folder, oldAt.Add(time.Hour)))
	if delivered := (&scene{Store: s, t: t}).deliver(); len(delivered) != oldPending {
		t.Errorf("%d deliveries were due", len(delivered))
	}
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), -2*delivery.EventGrace); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint(t, s)
	if err := s.read(func(v *view) error {
		for _, name := range [][]byte{eventsBucket, idsBucket, pendingBucket, deliveriesBucket, requestsBucket, logBucket} {
			if n := v.tx.Bucket(name).Stats().KeyN; n > 0 {
				t.Errorf("%d keys are left in %s", n, name)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if report := checked(t, folder); len(report.Damages) > 0 {
		t.Errorf("Check: %q", report.Damages)
	}
}

// TestAddToEntry adds a record with the key of an entry that has others, which stay.
func TestAddToEntry(t *testing.T) {
	s := open(t, t.TempDir())
	record := func(webhook uint32, value byte) []byte {
		return append(deliveryKey(1<<numberShift, webhook), bytes.Repeat([]byte{value}, packedDeliveries.value)...)
	}
	for _, records := range [][]byte{slices.Concat(record(1, 1), record(2, 1), record(3, 1)), slices.Concat(record(1, 2), record(3, 2))} {
		if err := s.write(together, func(tx *txn) error {
			return packedDeliveries.add(tx.journaled(deliveriesBucket), records)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.read(func(v *view) error {
		for webhook, want := range map[uint32]byte{1: 2, 2: 1, 3: 2} {
			value, ok := packedDeliveries.find(v.bucket(deliveriesBucket), deliveryKey(1<<numberShift, webhook))
			if !ok || value[0] != want {
				t.Errorf("the delivery to %d is %x", webhook, value)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
