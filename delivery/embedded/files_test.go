package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// killed is what a killed process leaves, at several moments.
type killed struct {
	// first is early; then comes a commit, and another one.
	first, last files
	ends        []int64 // of the records in the last journal
}

type files struct{ database, journal []byte }

// kill works on a store. In the end, events are in the journal alone.
func kill(t *testing.T) *killed {
	t.Helper()
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	load.Accept(t, 3, false)
	k := new(killed)
	k.first.database, k.first.journal = abandon(t, s)
	for range 2 {
		checkpoint(t, s)
		load.Accept(t, 3, false)
	}
	k.ends = append(k.ends, s.journal.at)
	for range 3 {
		load.Accept(t, 3, false)
		k.ends = append(k.ends, s.journal.at)
	}
	k.last.database, k.last.journal = abandon(t, s)
	return k
}

// flipped is a copy in which a bit at a place is another one.
func flipped(b []byte, at int64) []byte {
	b = bytes.Clone(b)
	b[at] ^= 4
	return b
}

// TestDamagedFiles opens what a killed process left after something has happened to its
// files. That must be an error, and must change nothing.
func TestDamagedFiles(t *testing.T) {
	k := kill(t)
	database, journal := k.last.database, k.last.journal
	page := int64(os.Getpagesize())
	newer := page
	if metaID(database) > metaID(database[page:]) {
		newer = 0
	}
	for name, c := range map[string]struct {
		files
		want     string
		salvaged int // events of 18
	}{
		"first record":          {files{database, flipped(journal, journalStart+recordHead+20)}, "damaged record at byte 512", 15},
		"length of a record":    {files{database, flipped(journal, k.ends[0]+10)}, "damaged record", 15},
		"epoch of a record":     {files{database, flipped(journal, k.ends[1]+7)}, "damaged record", 15},
		"last record":           {files{database, flipped(journal, k.ends[3]-9)}, "damaged record", 15},
		"head of last record":   {files{database, flipped(journal, k.ends[2]+3)}, "damaged record", 15},
		"head of the journal":   {files{database, flipped(journal, 12)}, "damaged head", 18},
		"journal missing":       {files{database, nil}, "is missing", 6},
		"journal empty":         {files{database, []byte{}}, "damaged head", 6},
		"journal all zeros":     {files{database, make([]byte, len(journal))}, "damaged head", 6},
		"journal truncated":     {files{database, journal[:k.ends[3]]}, "has lost its end", 18},
		"journal cut to little": {files{database, journal[:k.ends[1]]}, "has lost its end", 12},
		"journal older":         {files{database, k.first.journal}, "is older than the database", 6},
		"database older":        {files{k.first.database, journal}, "is older than the journal", 12},
		"newer meta page":       {files{flipped(database, newer+30), journal}, "has lost its last commit", 15},
		"both meta pages":       {files{flipped(flipped(database, 30), page+30), journal}, "the store is damaged", 12},
		"database gone":         {files{nil, journal}, "the journal beside it is full", 12},
		"database empty":        {files{[]byte{}, journal}, "the journal beside it is full", 12},
		"first database gone":   {files{nil, k.first.journal}, "the journal beside it is full", 3},
		"database truncated":    {files{database[:3*page], journal}, "the store is damaged", 12},
		"layout":                {files{bytes.ReplaceAll(database, []byte("schema\x00\x00\x00\x03"), []byte("schema\x00\x00\x00\x01")), journal}, "the store is damaged", 18},
	} {
		t.Run(name, func(t *testing.T) {
			folder := left(t, c.database, c.journal)
			openError(t, New(folder), c.want)
			openError(t, New(folder), "caddy webhooks check")
			if report := checked(t, folder); len(report.Damages) == 0 {
				t.Error("Check finds nothing")
			}
			to := filepath.Join(t.TempDir(), "copy")
			report, err := Salvage(t.Context(), folder, to)
			if err != nil || len(report.Damages) == 0 {
				t.Fatalf("Salvage: %+v, %v", report, err)
			}
			wantFiles(t, folder, c.database, c.journal)
			if n := stored(t, open(t, to)); n != c.salvaged {
				t.Errorf("%d of %d events were salvaged: %q", n, c.salvaged, report.Damages)
			}
		})
	}
}

// stored counts the events in a store.
func stored(t *testing.T, s *Store) (n int) {
	t.Helper()
	for batch, err := range s.Export(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(batch.Events)
	}
	return n
}

// metaID is the number of the transaction that wrote a meta page.
func metaID(page []byte) byte { return page[16+48] }

// TestBegunTwice opens a folder in which a process ended while it made a new store.
func TestBegunTwice(t *testing.T) {
	s := open(t, t.TempDir())
	_, blank := abandon(t, s)
	for name, f := range map[string]files{
		"journal alone":         {nil, blank},
		"a part of the journal": {nil, make([]byte, 1000)},
		"empty database":        {[]byte{}, blank},
	} {
		t.Run(name, func(t *testing.T) {
			again := reopen(t, f.database, f.journal)
			load := storetest.Load{Store: again}
			load.Begin(t)
			load.Accept(t, 1, false)
			if n, err := restart(t, again).Pending(t.Context()); err != nil || n != 1 {
				t.Errorf("%d pending, %v, want 1", n, err)
			}
		})
	}
}

// TestUnusedEpochs commits again and again without a record in the journal, whose head then
// may not be on the disk.
func TestUnusedEpochs(t *testing.T) {
	s := open(t, t.TempDir())
	load := storetest.Load{Store: s}
	load.Begin(t)
	// The first one notes that what was deleted is overwritten.
	if _, err := s.Sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	load.Accept(t, 1, false)
	_, before := abandon(t, s)
	for range 3 {
		checkpoint(t, s)
		if _, err := s.Sweep(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	database, _ := abandon(t, s)
	again := reopen(t, database, before)
	if n, err := again.Pending(t.Context()); err != nil || n != 1 {
		t.Errorf("%d pending, %v, want 1", n, err)
	}
}
