//go:build unix

package embedded

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/storetest"
)

// limitFiles has the system refuse files to grow beyond a size, as a full disk
// would, and gives a way back.
func limitFiles(t *testing.T, size uint64) (lift func()) {
	t.Helper()
	signal.Ignore(syscall.SIGXFSZ) // which would end the process
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	limited := before
	limited.Cur = size
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}
}

// limited is an environment variable: it is set where files are limited.
const limited = "WEBHOOKS_TEST_LIMITED"

// TestFull runs in a process of its own: the limit is one of all its files, those of
// the testing package among them.
func TestFull(t *testing.T) {
	if os.Getenv(limited) != "" {
		testFull(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run", "^TestFull$")
	cmd.Env = append(os.Environ(), limited+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// testFull fills the disk: what is accepted then is there, what is not is refused
// as a whole, and all goes on when there is room again.
func testFull(t *testing.T) {
	folder := t.TempDir()
	s := open(t, folder)
	load := storetest.Load{Store: s}
	load.Begin(t)
	info, err := os.Stat(filepath.Join(folder, fileName))
	if err != nil {
		t.Fatal(err)
	}
	// There is room for the journal, and for little more in the database.
	lift := limitFiles(t, max(journalSize, uint64(info.Size()))+1<<20)
	lifted := false
	defer func() {
		if !lifted {
			lift()
		}
	}()

	var accepted delivery.Accepted // the first
	accept := func(call delivery.AcceptCall) error {
		batch := delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Hour, Retention: 24 * time.Hour}
		result := s.Accept(t.Context(), batch)[0]
		if accepted.At.IsZero() {
			accepted = result
		}
		return result.Err
	}
	var kept, refused []delivery.AcceptCall
	for len(refused) < 3 {
		call := load.Call(10, true)
		switch err := accept(call); {
		case err == nil:
			kept = append(kept, call)
		case errors.Is(err, delivery.ErrFull):
			refused = append(refused, call)
		default:
			t.Fatal(err)
		}
		if len(kept) > 10_000 {
			t.Fatal("the disk is never full")
		}
	}
	check := func(s *Store) {
		t.Helper()
		for _, call := range kept {
			for i := range call.Events {
				if _, _, err := s.Event(t.Context(), call.Tenant, call.Events[i].ID); err != nil {
					t.Fatalf("an accepted event: %v", err)
				}
			}
		}
		for _, call := range refused {
			for i := range call.Events {
				if _, _, err := s.Event(t.Context(), call.Tenant, call.Events[i].ID); !errors.Is(err, delivery.ErrNotFound) {
					t.Fatalf("a refused event: %v", err)
				}
			}
		}
	}
	check(s)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("a full store does not answer: %v", err)
	}
	// An outcome is written, or refused and still the delivery's own.
	o := outcome(s, &kept[0], &accepted)
	o.Request.ResponseBody = strings.Repeat("x", 1<<20)
	if err := s.Complete(t.Context(), []delivery.Outcome{o}); !errors.Is(err, delivery.ErrFull) {
		t.Errorf("an outcome for which there is no room: %v", err)
	}
	lift()
	lifted = true
	call := load.Call(10, true)
	kept = append(kept, call)
	if err := accept(call); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	check(s)
	if err := s.Complete(t.Context(), []delivery.Outcome{o}); err != nil {
		t.Errorf("the outcome, with room again: %v", err)
	}
	if _, deliveries, err := s.Event(t.Context(), o.Request.Tenant, o.Request.EventID); err != nil || deliveries[0].Status != delivery.DeliveryFailed {
		t.Errorf("its delivery is %+v, %v", deliveries, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, folder)
	check(s)
	if n, err := s.Pending(t.Context()); err != nil || int(n) != 10*len(kept)-1 {
		t.Errorf("%d pending, %v, want %d", n, err, 10*len(kept)-1)
	}
}
