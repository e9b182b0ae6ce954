package contracttest

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/redis/redistest"
	"github.com/caddy-webhooks/caddy-webhooks/internal/process"
)

// history is a Caddy on a Redis whose clock the test moves. That clock decides how
// long anything is kept. It begins ten minutes past a full hour.
type history struct {
	t       *testing.T
	options string
	clock   string // the library that moves Redis's clock
	dir     string // Redis's folder
	begin   time.Time
	running []*process.Process // stopped from the last to the first
}

func newHistory(t *testing.T, options string) *history {
	t.Helper()
	h := &history{t: t, options: options, dir: t.TempDir(), begin: time.Now().Truncate(time.Hour).Add(10 * time.Minute)}
	h.clock = filepath.Join(h.dir, "clock.so")
	build := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-o", h.clock, filepath.Join("testdata", "clock.c"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the clock: %v\n%s", err, out)
	}
	t.Cleanup(h.stop)
	return h
}

// at stops Caddy and Redis, and starts them again with the clock that long after the
// beginning. It returns when Caddy is ready.
func (h *history) at(since time.Duration) *server {
	h.t.Helper()
	h.stop()
	addr, err := process.FreeAddress()
	if err != nil {
		h.t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		h.t.Fatal(err)
	}
	ahead := int(time.Until(h.begin.Add(since)).Seconds())
	redis := exec.Command(cmp.Or(os.Getenv(redistest.BinaryEnv), "redis-server"),
		"--bind", host, "--port", port, "--dir", h.dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always")
	redis.Env = append(os.Environ(), fmt.Sprint("CLOCK_AHEAD=", ahead), "LD_PRELOAD="+h.clock, "DYLD_INSERT_LIBRARIES="+h.clock)
	started, err := process.Start(redis, filepath.Join(h.t.TempDir(), "redis.log"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.running = append(h.running, started)
	s := start(h.t, "store redis redis://"+addr+"\n"+h.options)
	h.running = append(h.running, s.process)
	return s
}

func (h *history) stop() {
	h.t.Helper()
	for ; len(h.running) > 0; h.running = h.running[:len(h.running)-1] {
		if err := h.running[len(h.running)-1].Stop(); err != nil {
			h.t.Error(err)
		}
	}
}
