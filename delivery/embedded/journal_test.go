package embedded

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// abandon leaves a store as a killed process does, and returns the contents of its files.
func abandon(t *testing.T, s *Store) (database, journal []byte) {
	t.Helper()
	database, err := os.ReadFile(filepath.Join(s.folder, fileName))
	if err != nil {
		t.Fatal(err)
	}
	journal, err = os.ReadFile(filepath.Join(s.folder, journalName))
	if err != nil {
		t.Fatal(err)
	}
	return database, journal
}

// left makes a folder with the given files; nil is for a file that is missing.
func left(t *testing.T, database, journal []byte) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for name, content := range map[string][]byte{fileName: database, journalName: journal} {
		if content == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// reopen opens a store with the given files.
func reopen(t *testing.T, database, journal []byte) *Store {
	t.Helper()
	return open(t, left(t, database, journal))
}

func events(t *testing.T, s *Store, calls []delivery.AcceptCall) int {
	t.Helper()
	n := 0
	for i := range calls {
		if _, _, err := s.Event(t.Context(), calls[i].Tenant, calls[i].Events[0].ID); err == nil {
			n++
		}
	}
	return n
}

// TestJournal cuts the journal off in the middle of its last record, as a power cut may:
// everything before that record must be there.
func TestJournal(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	var calls []delivery.AcceptCall
	var ends []int64
	for range 3 {
		more, _ := load.Accept(t, 1, false)
		calls = append(calls, more...)
		ends = append(ends, s.journal.at)
	}
	database, journal := abandon(t, s)
	if got := events(t, reopen(t, database, journal), calls); got != 3 {
		t.Errorf("%d events are there after a crash, want 3", got)
	}
	// It ends with the number of an event, which may end with zeros.
	for _, cut := range []int64{ends[1], ends[1] + 1, ends[1] + recordHead, ends[2] - 8} {
		torn := append([]byte(nil), journal...)
		clear(torn[cut:])
		if got := events(t, reopen(t, database, torn), calls); got != 2 {
			t.Errorf("%d events are there with a journal of %d bytes, want 2", got, cut)
		}
	}
}

// TestOldJournal has records in the journal whose changes the database has already: they
// must not be replayed.
func TestOldJournal(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	calls, accepted := load.Accept(t, 1, true)
	_, before := abandon(t, s)
	load.Complete(t, calls, accepted)
	checkpoint(t, s)
	database, _ := abandon(t, s)
	again := reopen(t, database, before)
	if n, err := again.Pending(t.Context()); err != nil || n != 0 {
		t.Errorf("%d pending, %v, want none: it was delivered", n, err)
	}
	if again.journal.hasRecords() {
		t.Error("records of another epoch count")
	}
}

// TestForeignJournal opens a new database beside a journal that was left behind when its
// own was moved away.
func TestForeignJournal(t *testing.T) {
	s, other := open(t, t.TempDir()), open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	load.Accept(t, 1, false)
	_, journal := abandon(t, s)
	database, _ := abandon(t, other)
	openError(t, New(left(t, database, journal)), "belongs to another database")
}
