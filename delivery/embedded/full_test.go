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

// limitFiles makes the system refuse to let files grow beyond a size, as a full disk would,
// until lift is called.
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

// limited is an environment variable that is set in the process with the limit.
const limited = "WEBHOOKS_TEST_LIMITED"

// TestFull runs in its own process, since the limit applies to all files of a process,
// including those of the testing package.
func TestFull(t *testing.T) {
	t.Parallel()
	inOwnProcess(t, testFull)
}

func inOwnProcess(t *testing.T, test func(*testing.T)) {
	t.Helper()
	if os.Getenv(limited) != "" {
		test(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), limited+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// testFull fills the disk: events that are accepted are there, others are refused as a
// whole, and everything works again when there is room.
func testFull(t *testing.T) {
	f := newFilling(t)
	// There is room for the journal, and for little more in the database.
	lift := limitFiles(t, max(journalSize, f.databaseSize())+1<<20)
	lifted := false
	defer func() {
		if !lifted {
			lift()
		}
	}()
	f.fill()
	f.check()
	if err := f.store.Ping(t.Context(), 0); !errors.Is(err, delivery.ErrFull) {
		t.Errorf("a full store says that it would accept events: %v", err)
	}
	// An outcome for which there is no room is refused, and can be written later.
	o := outcome(f.store, &f.kept[0], &f.first)
	o.Request.ResponseBody = strings.Repeat("x", 1<<20)
	if err := errors.Join(f.store.Complete(t.Context(), []delivery.Outcome{o})...); !errors.Is(err, delivery.ErrFull) {
		t.Errorf("an outcome for which there is no room: %v", err)
	}
	lift()
	lifted = true
	if err := f.store.Ping(t.Context(), 0); err != nil {
		t.Errorf("with room again it says: %v", err)
	}
	if err := f.accept(f.load.Call(10, true)); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	f.check()
	if err := errors.Join(f.store.Complete(t.Context(), []delivery.Outcome{o})...); err != nil {
		t.Errorf("the outcome, with room again: %v", err)
	}
	if _, deliveries, err := f.store.Event(t.Context(), o.Request.Tenant, o.Request.EventID); err != nil || deliveries[0].Status != delivery.DeliveryFailed {
		t.Errorf("its delivery is %+v, %v", deliveries, err)
	}
	f.reopen()
	f.check()
	if n, err := f.store.Pending(t.Context()); err != nil || int(n) != 10*len(f.kept)-1 {
		t.Errorf("%d pending, %v, want %d", n, err, 10*len(f.kept)-1)
	}
}

// filling is a store that is being filled, and what it has accepted and refused.
type filling struct {
	*testing.T
	folder        string
	store         *Store
	load          storetest.Load
	first         delivery.Accepted // the answer to the first call that was kept
	kept, refused []delivery.AcceptCall
}

func newFilling(t *testing.T) *filling {
	t.Helper()
	f := &filling{T: t, folder: t.TempDir()}
	f.store = open(t, f.folder)
	f.load.Store = f.store
	f.load.Begin(t)
	return f
}

func (f *filling) databaseSize() uint64 {
	f.Helper()
	info, err := os.Stat(filepath.Join(f.folder, fileName))
	if err != nil {
		f.Fatal(err)
	}
	return uint64(info.Size())
}

// accept calls Accept, and notes whether the call was kept or refused.
func (f *filling) accept(call delivery.AcceptCall) error {
	f.Helper()
	batch := delivery.AcceptBatch{Calls: []delivery.AcceptCall{call}, Lease: time.Hour, Retention: 24 * time.Hour}
	result := f.store.Accept(f.Context(), batch)[0]
	if f.first.At.IsZero() {
		f.first = result
	}
	if result.Err == nil {
		f.kept = append(f.kept, call)
	} else {
		f.refused = append(f.refused, call)
	}
	return result.Err
}

// fill emits until the disk is full.
func (f *filling) fill() {
	f.Helper()
	for len(f.refused) < 3 {
		if err := f.accept(f.load.Call(10, true)); err != nil && !errors.Is(err, delivery.ErrFull) {
			f.Fatal(err)
		}
		if len(f.kept) > 10_000 {
			f.Fatal("the disk is never full")
		}
	}
}

// check checks that all events that were kept are there, and none that was refused.
func (f *filling) check() {
	f.Helper()
	for _, call := range f.kept {
		for i := range call.Events {
			if _, _, err := f.store.Event(f.Context(), call.Tenant, call.Events[i].ID); err != nil {
				f.Fatalf("an accepted event: %v", err)
			}
		}
	}
	for _, call := range f.refused {
		for i := range call.Events {
			if _, _, err := f.store.Event(f.Context(), call.Tenant, call.Events[i].ID); !errors.Is(err, delivery.ErrNotFound) {
				f.Fatalf("a refused event: %v", err)
			}
		}
	}
}

func (f *filling) reopen() {
	f.Helper()
	if err := f.store.Close(); err != nil {
		f.Fatal(err)
	}
	f.store = open(f.T, f.folder)
}
