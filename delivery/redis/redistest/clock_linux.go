package redistest

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

//go:embed clock/clock.c
var clockSource []byte

// Clock is a server's wall clock, which a test can set.
type Clock struct{ path string }

// StartWithClock starts a server like Start, with its own clock. It needs the C compiler
// that Go uses.
func StartWithClock(t testing.TB, args ...string) (*Server, *Clock) {
	t.Helper()
	dir := t.TempDir()
	source, library := filepath.Join(dir, "clock.c"), filepath.Join(dir, "clock.so")
	clock := &Clock{filepath.Join(dir, "shift")}
	if err := os.WriteFile(source, clockSource, 0o600); err != nil {
		t.Fatal(err)
	}
	clock.Set(t, 0)
	compiler, err := exec.CommandContext(t.Context(), "go", "env", "CC").Output()
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), strings.TrimSpace(string(compiler)), "-shared", "-fPIC", "-O1", "-o", library, source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("no C compiler, or it fails (scripts/need cc): %v\n%s", err, out)
	}
	s, err := newServer(t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	s.env = []string{"LD_PRELOAD=" + library, "CLOCK_SHIFT=" + clock.path}
	if err := s.startAnywhere(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	return s, clock
}

// Set sets the clock ahead of this machine's, or behind it.
func (c *Clock) Set(t testing.TB, ahead time.Duration) {
	t.Helper()
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(ahead)), 0)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}
