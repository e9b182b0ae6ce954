package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what has arrived and what was used up to a moment.
type usage struct {
	at                  time.Time
	arrived             int64         // requests at the sink
	bench, caddy, redis time.Duration // CPU time
	thread              redisTime
	allocated           float64 // bytes, by Caddy
}

// sinkUsage returns the usage of this process alone, which makes the load and runs the
// sink.
func (r *rig) sinkUsage(context.Context) (u usage, err error) {
	u.at, u.arrived = time.Now(), r.sink.arrived.Load()
	u.bench, err = cpuTime(os.Getpid())
	return u, err
}

// usage returns the usage of all processes.
func (r *rig) usage(ctx context.Context) (usage, error) {
	allocated, err := r.caddyMetric(ctx, "go_memstats_alloc_bytes_total")
	if err != nil {
		return usage{}, err
	}
	u, err := r.sinkUsage(ctx)
	if err != nil {
		return u, err
	}
	u.allocated = allocated
	if u.caddy, err = cpuTime(r.caddy.PID()); err != nil || r.redis == nil {
		return u, err
	}
	if u.redis, err = cpuTime(r.redisPID); err != nil {
		return u, err
	}
	u.thread, err = r.redisTime(ctx)
	return u, err
}

// since returns what a delivery cost on average between two moments.
func (r *rig) since(before, after usage) figures {
	n := float64(after.arrived - before.arrived)
	thousands := func(d time.Duration) float64 { return d.Seconds() * 1000 / n }
	f := figures{
		cpuBench:  thousands(after.bench - before.bench),
		cpuCaddy:  thousands(after.caddy - before.caddy),
		allocated: (after.allocated - before.allocated) / n,
	}
	if r.redis != nil {
		f[cpuRedis] = thousands(after.redis - before.redis)
		f[cpuThread] = thousands(after.thread.all - before.thread.all)
		f[cpuCommands] = thousands(after.thread.commands - before.thread.commands)
		f[cpuScripts] = thousands(after.thread.scripts-before.thread.scripts) - f[cpuCommands]
	}
	return f
}

// during lets a group work for the duration d, after it has warmed up, and returns the
// usage before and after. It ends early if the group fails.
func during(g *group, d time.Duration, measure func(context.Context) (usage, error)) (before, after usage, err error) {
	pause(g.ctx, d/5)
	if before, err = measure(g.ctx); err != nil {
		return before, after, err
	}
	pause(g.ctx, d)
	after, err = measure(g.ctx)
	return before, after, err
}

// peaks adds the most memory that each process has needed.
func (r *rig) peaks(ctx context.Context, f figures) error {
	const mega = 1e6
	caddy, err := peakMemory(r.caddy.PID())
	if err != nil {
		return err
	}
	f[peakCaddy] = float64(caddy) / mega
	if r.redis == nil {
		return nil
	}
	used, err := r.redisInfo(ctx, "used_memory_peak")
	f[peakRedis] = float64(used) / mega
	return err
}

// cpuTime returns the CPU time of a process and of the children that it has waited for, as
// in proc(5).
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time is measured on Linux only: %w", err)
	}
	// The name, in parentheses, may contain anything. After it, utime, stime, cutime and
	// cstime are the 12th to 15th fields, in hundredths of a second.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:15] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// peakMemory returns the peak resident memory of a process, in bytes.
func peakMemory(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("memory is measured on Linux only: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, _, _ := strings.Cut(rest, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(kilobytes), 10, 64)
	return n << 10, err
}

// caddyMetric reads a metric of Caddy's that has no labels.
func (r *rig) caddyMetric(ctx context.Context, name string) (value float64, err error) {
	err = r.adminGet(ctx, "/metrics", func(body io.Reader) error {
		lines := bufio.NewScanner(body)
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
				value, err = strconv.ParseFloat(text, 64)
				return err
			}
		}
		return cmp.Or(lines.Err(), fmt.Errorf("Caddy has no metric %s", name))
	})
	return value, err
}

// caddyHeap returns how many bytes Caddy's heap holds after a garbage collection.
func (r *rig) caddyHeap(ctx context.Context) (float64, error) {
	// A second collection frees what the first has finalised.
	for range 2 {
		err := r.adminGet(ctx, "/debug/pprof/heap?gc=1&debug=1", func(body io.Reader) error {
			_, err := io.Copy(io.Discard, body) // only the collection is wanted, not the profile
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return r.caddyMetric(ctx, "go_memstats_heap_alloc_bytes")
}

func (r *rig) adminGet(ctx context.Context, path string, read func(body io.Reader) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.admin+path, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("Caddy's admin endpoint answered %s at %s", resp.Status, path)
	}
	return read(resp.Body)
}
