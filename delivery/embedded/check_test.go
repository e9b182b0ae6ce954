package embedded

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// checked checks the files of a store.
func checked(t *testing.T, folder string) *Report {
	t.Helper()
	report, err := Check(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestCheckWhole checks stores that are whole, which changes nothing.
func TestCheckWhole(t *testing.T) {
	s := newScene(t, 400)
	for _, when := range []string{"killed", "killed after a commit"} {
		database, journal := abandon(t, s.Store)
		folder := left(t, database, journal)
		if report := checked(t, folder); len(report.Damages) > 0 || report.Records < 800 {
			t.Errorf("%s: %d records, %q", when, report.Records, report.Damages)
		}
		wantFiles(t, folder, database, journal)
		checkpoint(t, s.Store)
	}
	if _, err := Check(t.Context(), s.folder); err == nil || !strings.Contains(err.Error(), "another process has") {
		t.Errorf("a store that is open: %v", err)
	}
	if _, err := Salvage(t.Context(), s.folder, t.TempDir()); err == nil || !strings.Contains(err.Error(), "another process has") {
		t.Errorf("a store that is open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if report := checked(t, s.folder); len(report.Damages) > 0 {
		t.Errorf("closed: %q", report.Damages)
	}
	if _, err := Salvage(t.Context(), s.folder, s.folder); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a folder that is not empty: %v", err)
	}
	if _, err := Check(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "there is no store in") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Check(t.Context(), layout1(t)); err == nil || !strings.Contains(err.Error(), "start Caddy with it once") {
		t.Errorf("layout 1: %v", err)
	}
	if missing, report := s.salvaged(s.folder); len(missing) > 0 || len(report.Damages) > 0 {
		t.Errorf("%d are missing in a copy, %q", len(missing), report.Damages)
	}
}

// wantFiles checks that the files in a folder are still the same; nil is for one that is
// missing.
func wantFiles(t *testing.T, folder string, database, journal []byte) {
	t.Helper()
	for name, before := range map[string][]byte{fileName: database, journalName: journal} {
		after, err := os.ReadFile(filepath.Join(folder, name))
		if before == nil && os.IsNotExist(err) {
			continue
		}
		if err != nil || string(after) != string(before) {
			t.Errorf("%s was changed, or cannot be read: %v", name, err)
		}
	}
}

// salvaged salvages what is in a folder, and uses the copy, in which everything must work.
func (s *scene) salvaged(folder string) (missing []string, report *Report) {
	s.t.Helper()
	to := filepath.Join(s.t.TempDir(), "copy")
	report, err := Salvage(s.t.Context(), folder, to)
	if err != nil {
		s.t.Fatal(err)
	}
	core, said := observer.New(zapcore.ErrorLevel)
	again := &scene{t: s.t, events: s.events, pending: s.pending, said: said, Store: New(to, WithLogger(zap.New(core)))}
	if err := again.Open(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	for _, id := range again.use() {
		missing = append(missing, id.String())
	}
	if err := again.Ping(s.t.Context(), 0); err != nil || len(again.errs) > 0 || said.Len() > 0 {
		s.t.Errorf("the copy is not whole: %v, %v, %v", err, again.errs, said.All())
	}
	again.sweepAll()
	if err := again.Close(); err != nil {
		s.t.Error(err)
	}
	if report := checked(s.t, to); len(report.Damages) > 0 {
		s.t.Errorf("the copy is damaged: %q", report.Damages)
	}
	return missing, report
}

// TestSalvagePoisoned salvages a store of which one record is damaged.
func TestSalvagePoisoned(t *testing.T) {
	lost := map[string]int{"events": 1, "webhooks": 5} // at most
	for _, bucket := range allBuckets {
		if bytes.Equal(bucket, asideBucket) {
			continue // which is empty
		}
		for _, how := range []string{"value flipped", "key flipped", "other's"} {
			change := poisons[how]
			t.Run(fmt.Sprintf("%s/%s", bucket, how), func(t *testing.T) {
				t.Parallel()
				s := newScene(t, 40)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s.poison(bucket, change)
				report := checked(t, s.folder)
				if said := strings.Join(report.Damages, "\n"); !strings.Contains(said, string(bucket)) && string(bucket) != "meta" {
					t.Errorf("Check says %s", said)
				}
				if len(report.Damages) == 0 && how != "other's" {
					t.Error("Check finds nothing")
				}
				missing, salvaged := s.salvaged(s.folder)
				if len(missing) > lost[string(bucket)] {
					t.Errorf("%d events were not delivered", len(missing))
				}
				if len(salvaged.Damages) < len(report.Damages) {
					t.Errorf("Salvage says %q", salvaged.Damages)
				}
			})
		}
	}
}
