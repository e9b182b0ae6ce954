//go:build linux

package embedded

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestPowerCut runs processes that work on a store, one after the other in the same folder,
// traced by strace. Each kills itself, or ends when one of its syncs fails. From what they
// wrote and synced, the test makes what the disk may have if the power fails at some
// moment: what was synced, and any part of the rest. All that was acknowledged by then
// must be there.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	const runs, cuts = 12, 8
	folder, err := filepath.EvalSymlinks(t.TempDir()) // as strace names it
	if err != nil {
		t.Fatal(err)
	}
	d := newDisk(folder)
	said := newAcknowledged()
	for run := range runs {
		steps := trace(t, folder, run%3 > 0)
		// A cut right after an acknowledgement shows the most.
		var after []int
		for i, s := range steps {
			if s.kind == saying {
				after = append(after, i)
			}
		}
		at := make(map[int]bool)
		for range cuts / 2 {
			at[rand.IntN(len(steps))] = true
			if len(after) > 0 {
				at[after[rand.IntN(len(after))]] = true
			}
		}
		if len(after) > 0 {
			at[after[0]] = true
		}
		for i, s := range steps {
			if s.kind == saying {
				said.add(s.said)
			}
			d.take(s)
			if at[i] && len(said.events) > 0 {
				said.check(t, d.cut(t))
			}
		}
	}
	if len(said.events) < runs || len(said.requests) < runs {
		t.Errorf("only %d events and %d requests were acknowledged in %d runs", len(said.events), len(said.requests), runs)
	}
}

// step is something that a process did to the disk, in that order.
type step struct {
	kind stepKind
	path string
	at   int64  // where data goes, or the size of the file
	data []byte // what was written
	said string // what was written to standard output
	sync int    // connects the start of a sync with its end
}

type stepKind int

const (
	making stepKind = iota // a file, if it was not there
	writing
	resizing
	syncing // begins
	synced
	notSynced
	saying
)

// trace runs a worker in a folder, and returns what it did. If failing is set, one sync of
// each thread fails and never reaches the disk.
func trace(t *testing.T, folder string, failing bool) []step {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v: scripts/need strace installs it", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	args := []string{
		"-f", "--seccomp-bpf", "-y", "-xx", "-s", strconv.Itoa(4 << 20), "-o", log, "-e", "signal=none",
		"-e", "trace=openat,write,pwrite64,ftruncate,fsync,fdatasync",
	}
	calls := 1 + rand.IntN(30)
	if failing {
		args = append(args, "-e", fmt.Sprintf("inject=fsync,fdatasync:error=EIO:when=%d", 1+rand.IntN(20)))
		calls = 200 // in case none of its threads comes that far
	}
	cmd := exec.CommandContext(t.Context(), strace, append(args, self)...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), asWorker+"="+strconv.Itoa(calls))
	out, _ := cmd.CombinedOutput() // there is always an error
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !failing && status.Signal() != syscall.SIGKILL {
		t.Fatalf("the worker was not killed, but: %v: %s", cmd.ProcessState, out)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	p := straceParser{begun: make(map[string]step)}
	for line := range strings.Lines(string(text)) {
		if err := p.line(strings.TrimSuffix(line, "\n")); err != nil {
			t.Fatalf("%v in %.200q", err, line)
		}
	}
	if len(p.steps) == 0 {
		t.Fatalf("strace saw nothing: %s", out)
	}
	return p.steps
}

// straceParser reads strace's output.
type straceParser struct {
	steps []step
	begun map[string]step // the syncs that threads are in
	syncs int
}

// line reads a line: a call, or the start or the end of one that others interrupt. What is
// written may be on the disk from the start on, and is synced at the end.
func (p *straceParser) line(line string) error {
	thread, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimLeft(rest, " ")
	if strings.HasPrefix(rest, "+++") || strings.HasPrefix(rest, "???") {
		return nil // the thread ended, perhaps in the middle of the line
	}
	if strings.HasPrefix(rest, "<... ") {
		return p.end(thread, rest)
	}
	name, rest, ok := strings.Cut(rest, "(")
	if !ok {
		return fmt.Errorf("no call")
	}
	if name == "openat" {
		return p.open(rest)
	}
	args := strings.Split(rest, ", ")
	_, path, _ := strings.Cut(args[0], "<")
	path, err := unhex(path[:max(0, strings.IndexByte(path, '>'))])
	if err != nil {
		return err
	}
	switch name {
	case "fsync", "fdatasync":
		p.syncs++
		p.begun[thread] = step{kind: syncing, path: path, sync: p.syncs}
		p.steps = append(p.steps, p.begun[thread])
		if !strings.HasSuffix(rest, "<unfinished ...>") {
			return p.end(thread, rest)
		}
		return nil
	case "ftruncate":
		size, err := leadingNumber(args[1])
		p.steps = append(p.steps, step{kind: resizing, path: path, at: size})
		return err
	}
	data, err := unhex(strings.Trim(args[1], `"`))
	if err != nil {
		return err
	}
	if name == "pwrite64" {
		at, err := leadingNumber(args[3])
		p.steps = append(p.steps, step{kind: writing, path: path, data: []byte(data), at: at})
		return err
	}
	if strings.HasPrefix(rest, "1<") {
		p.steps = append(p.steps, step{kind: saying, said: data})
	}
	return nil
}

// open reads that a file was opened, which may have created it.
func (p *straceParser) open(rest string) error {
	if !strings.Contains(rest, "O_CREAT") {
		return nil
	}
	quoted := strings.Split(rest, `"`)
	name, err := unhex(quoted[1])
	p.steps = append(p.steps, step{kind: making, path: name})
	return err
}

// end reads the result of a call.
func (p *straceParser) end(thread, rest string) error {
	s, ok := p.begun[thread]
	if !ok {
		return nil
	}
	delete(p.begun, thread)
	s.kind = notSynced
	if strings.HasSuffix(rest, " = 0") {
		s.kind = synced
	}
	p.steps = append(p.steps, s)
	return nil
}

// leadingNumber reads a number at the beginning of a text.
func leadingNumber(s string) (int64, error) {
	return strconv.ParseInt(s[:strings.IndexFunc(s+" ", func(r rune) bool { return r < '0' || r > '9' })], 10, 64)
}

// unhex reads a string as strace writes it: \x and two digits for each byte.
func unhex(s string) (string, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	return string(b), err
}

// disk is what is certainly on the disk, and what may be.
type disk struct {
	folder string
	files  map[string]*diskFile // by their paths
}

type diskFile struct {
	content []byte // what was synced
	named   bool   // its name was
	later   []step // what was not
	syncs   map[int]int
}

func newDisk(folder string) *disk { return &disk{folder, make(map[string]*diskFile)} }

// take takes a step of a process into account.
func (d *disk) take(s step) {
	f := d.files[s.path]
	switch {
	case s.kind == saying:
	case s.kind == making:
		path := filepath.Join(d.folder, s.path)
		if d.files[path] == nil {
			d.files[path] = &diskFile{syncs: make(map[int]int)}
		}
	case s.path == d.folder:
		if s.kind == synced {
			for _, f := range d.files {
				f.named = true
			}
		}
	case f == nil: // another folder
	case s.kind == syncing:
		f.syncs[s.sync] = len(f.later)
	case s.kind == synced:
		f.settle(s.sync, 1)
	case s.kind == notSynced:
		f.settle(s.sync, 0)
	default:
		f.later = append(f.later, s)
	}
}

// settle fixes what was written before a sync began: it is on the disk, or the system
// believes so and will not write it again.
func (f *diskFile) settle(sync int, part float64) {
	n := min(f.syncs[sync], len(f.later))
	f.content = apply(f.content, f.later[:n], part)
	f.later = slices.Clone(f.later[n:])
}

// sector is the unit that a disk writes as a whole.
const sector = 512

// apply makes about the given part of the changes, sector by sector.
func apply(content []byte, changes []step, part float64) []byte {
	for _, c := range changes {
		if c.kind == resizing {
			if rand.Float64() < part {
				content = resize(content, int(c.at))
			}
			continue
		}
		for i := 0; i < len(c.data); i += sector {
			if rand.Float64() >= part {
				continue
			}
			b := c.data[i:min(i+sector, len(c.data))]
			at := int(c.at) + i
			content = resize(content, max(len(content), at+len(b)))
			copy(content[at:], b)
		}
	}
	return content
}

func resize(b []byte, size int) []byte {
	if size <= len(b) {
		return b[:size]
	}
	return append(b, make([]byte, size-len(b))...)
}

// cut makes a folder with what the disk may have if the power fails now.
func (d *disk) cut(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	part := []float64{0, 0.5, 0.9, 1}[rand.IntN(4)]
	for path, f := range d.files {
		if !f.named {
			continue
		}
		content := apply(slices.Clone(f.content), f.later, part)
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(path)), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}
