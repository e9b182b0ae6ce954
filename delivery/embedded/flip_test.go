package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// TestBitFlips flips random bits of the files. Nothing panics, nothing is delivered that
// differs from what was emitted, and if anything is lost, the log or health says so.
func TestBitFlips(t *testing.T) {
	runs := 60
	if n, err := strconv.Atoi(os.Getenv("WEBHOOKS_TEST_FLIPS")); err == nil {
		runs = n
	}
	whole := newScene(t, 400)
	checkpoint(t, whole.Store)
	database, journal := abandon(t, whole.Store) // with all in the database
	var used int64
	if err := whole.read(func(v *view) error {
		used = v.tx.Size()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	more := newScene(t, 400)
	killedDatabase, full := abandon(t, more.Store) // with all in the journal
	end := more.journal.at
	for run := range runs {
		file, at := fileName, rand.Int64N(used)
		if run%3 == 0 {
			file, at = journalName, rand.Int64N(end)
		}
		t.Run(fmt.Sprintf("%s at %d", file, at), func(t *testing.T) {
			t.Parallel()
			s := &scene{t: t, events: whole.events, pending: whole.pending}
			db, log := database, journal
			if file == journalName {
				s.events, s.pending = more.events, more.pending
				db, log = killedDatabase, flipped(full, at)
			} else {
				db = flipped(db, at)
			}
			s.salvagedFlipped(left(t, db, log))
			s.useDamaged(left(t, db, log))
		})
	}
}

// salvagedFlipped checks and salvages files of which a bit was flipped, if that is possible.
func (s *scene) salvagedFlipped(folder string) {
	s.t.Helper()
	missing, report := s.salvaged(folder)
	if len(missing) > 0 && len(report.Damages) == 0 {
		s.t.Errorf("%d events are lost in the copy, and nothing says so", len(missing))
	}
}

// useDamaged opens files, uses the store if that works, and checks that what is lost is said.
func (s *scene) useDamaged(folder string) {
	s.t.Helper()
	core, said := observer.New(zapcore.ErrorLevel)
	s.Store, s.said = New(folder, WithLogger(zap.New(core))), said
	if err := s.Open(s.t.Context()); err != nil {
		if !errors.Is(err, delivery.ErrUnavailable) || !strings.Contains(err.Error(), "caddy webhooks check") && !strings.Contains(err.Error(), "use the version") {
			s.t.Errorf("Open does not say what to do: %v", err)
		}
		if !strings.Contains(err.Error(), filepath.Join(folder, "webhooks.")) {
			s.t.Errorf("Open does not name the file: %v", err)
		}
		return
	}
	missing := s.use()
	health := s.Ping(s.t.Context(), 0)
	if len(missing) > 0 && s.said.Len() == 0 && health == nil {
		s.t.Errorf("%d events are lost, and nothing says so", len(missing))
	}
	if len(missing) > 0 || health != nil {
		s.t.Logf("%d missing, %d lines, %v, %v", len(missing), s.said.Len(), health, s.errs)
	}
	_ = s.Close() // if a page is damaged, it may not work
}

// TestDamagedPage makes the page unreadable that has the last events. All other events are
// delivered, emits are accepted, and health and the log say what is the matter.
func TestDamagedPage(t *testing.T) {
	s := newScene(t, 400)
	checkpoint(t, s.Store)
	database, journal := abandon(t, s.Store)
	number := number8(s.eventNumber(s.events["load-0"][60]))
	size := os.Getpagesize()
	damaged := 0
	for at := 2 * size; at < len(database); at += size {
		if page := database[at : at+size]; page[8] == 2 && bytes.Contains(page, append([]byte{0}, number...)) && bytes.Count(page, []byte("alert_active")) > 1 {
			page[0]++ // the page's own number
			damaged++
		}
	}
	if damaged == 0 {
		t.Fatal("no page has the event")
	}
	again := &scene{t: t, events: s.events, pending: s.pending}
	core, said := observer.New(zapcore.ErrorLevel)
	again.Store, again.said = New(left(t, database, journal), WithLogger(zap.New(core))), said
	if err := again.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	missing := again.use()
	if n := len(missing); n == 0 || n > 12 {
		t.Errorf("%d events were not delivered", n)
	}
	if int64(len(missing)) > again.SetAside() || said.Len() == 0 {
		t.Errorf("%d are missing, %d were set aside, and the log says %v", len(missing), again.SetAside(), said.All())
	}
	if err := again.Ping(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "caddy webhooks check") {
		t.Errorf("Ping: %v", err)
	}
	for _, err := range again.errs {
		if !strings.HasPrefix(err.Error(), "event: ") && !strings.HasPrefix(err.Error(), "events: ") && !strings.HasPrefix(err.Error(), "a row of it: ") && !strings.HasPrefix(err.Error(), "a page of") {
			t.Errorf("something else failed: %v", err)
		}
	}
	_ = again.Close() // the commit may need the page
}

// TestDoubledKey flips a bit of a key, which makes it the key of another record. Nothing of
// the other is lost, and the store can be opened.
func TestDoubledKey(t *testing.T) {
	s := newScene(t, 40)
	checkpoint(t, s.Store)
	database, journal := abandon(t, s.Store)
	var key, other []byte
	for _, pair := range [][]uuid.UUID{s.events["load-0"][6:8], s.events["load-0"][7:9]} { // pending ones
		if a, b := s.eventNumber(pair[0]), s.eventNumber(pair[1]); a^4 == b {
			key, other = number8(a), number8(b)
		}
	}
	var webhook []byte
	if err := s.read(func(v *view) error {
		webhook = v.bucket(pendingBucket).keysWith(key)[0][8:]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	key, other = append(key, webhook...), append(other, webhook...)
	if !bytes.Contains(database, key) || !bytes.Contains(database, other) {
		t.Fatal("the database does not have both keys")
	}
	database = bytes.ReplaceAll(database, key, other)
	again := &scene{t: t, events: s.events, pending: s.pending}
	again.salvagedFlipped(left(t, database, journal))
	again.useDamaged(left(t, database, journal))
	if again.said.Len() == 0 {
		t.Error("the log says nothing")
	}
}

// eventNumber is the number of an event.
func (s *scene) eventNumber(id uuid.UUID) (number uint64) {
	s.t.Helper()
	if err := s.read(func(v *view) (err error) {
		number, _, err = s.storedEvent(v, "load-0", id)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return number
}
