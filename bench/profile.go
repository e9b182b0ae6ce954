package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// profileShare is what part of a load's time a profile of Caddy is taken after it, while the
// load goes on: half.
const profileShare = 2

// part is what Caddy's CPU goes to. A sample belongs to the first part of the list that one of
// its functions belongs to, of those that look at all of them, and else to the part of the
// innermost function that belongs to any.
type part struct {
	name     figure
	prefixes []string
	// anywhere says that the part has a sample whatever function is the innermost.
	anywhere bool
}

const (
	storePart  figure = "CPU of Caddy, store, s per 1,000"
	kernelPart figure = "CPU of Caddy, kernel, s per 1,000"
	otherPart  figure = "CPU of Caddy, scheduler and others, s per 1,000"
)

const module = "github.com/caddy-webhooks/caddy-webhooks/"

var parts = []part{
	{"CPU of Caddy, garbage collector, s per 1,000", []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge"}, true},
	// The writer of the embedded store waits for the disk in the kernel. On Redis, what
	// commands take of the kernel is the network's.
	{storePart, []string{module + "delivery/embedded.", "go.etcd.io/bbolt."}, true},
	{kernelPart, []string{"internal/runtime/syscall.", "syscall.", "internal/runtime/syscall/"}, false},
	{"CPU of Caddy, TLS and HMAC, s per 1,000", []string{"crypto/", "hash/", "vendor/golang.org/x/crypto/"}, false},
	{storePart, []string{module + "delivery/redis.", "github.com/redis/"}, false},
	{"CPU of Caddy, sender, s per 1,000", []string{module + "delivery/sender."}, false},
	{"CPU of Caddy, engine, s per 1,000", []string{module + "delivery.", module + "delivery/internal/"}, false},
	{"CPU of Caddy, API, s per 1,000", []string{module + "api."}, false},
	{"CPU of Caddy, net/http and Caddy, s per 1,000", []string{"net/http", "net/textproto.", "golang.org/x/net/", "vendor/golang.org/x/net/", "github.com/caddyserver/", module + "caddymodule."}, false},
}

// partNames are the parts in the order of the table.
func partNames() (names []figure) {
	for _, p := range parts {
		if !slices.Contains(names, p.name) {
			names = append(names, p.name)
		}
	}
	return append(names, otherPart)
}

// partOf finds the part of a sample, whose functions begin with the innermost.
func partOf(functions []string) figure {
	begins := func(p *part, function string) bool {
		return slices.ContainsFunc(p.prefixes, func(prefix string) bool { return strings.HasPrefix(function, prefix) })
	}
	for i := range parts {
		if p := &parts[i]; p.anywhere && slices.ContainsFunc(functions, func(f string) bool { return begins(p, f) }) {
			return p.name
		}
	}
	for _, f := range functions {
		for i := range parts {
			if p := &parts[i]; !p.anywhere && begins(p, f) {
				return p.name
			}
		}
	}
	return otherPart
}

// profile takes a profile of Caddy's CPU, and returns the share of each part.
func (r *rig) profile(ctx context.Context, d time.Duration) (map[figure]float64, error) {
	path := filepath.Join(r.dir, "cpu.pprof")
	err := r.adminGet(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(d.Seconds()))), func(body io.Reader) error {
		profile, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		return os.WriteFile(path, profile, 0o600)
	})
	if err != nil {
		return nil, err
	}
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", path).Output()
	if err != nil {
		return nil, fmt.Errorf("read Caddy's profile with go tool pprof: %w", err)
	}
	return shares(string(text))
}

// shares reads what go tool pprof -traces prints: samples between lines, each with its time
// before its innermost function.
func shares(traces string) (map[figure]float64, error) {
	byPart := make(map[figure]float64)
	var total, took float64
	var functions []string
	end := func() {
		if len(functions) > 0 {
			byPart[partOf(functions)] += took
			total += took
		}
		took, functions = 0, nil
	}
	lines := bufio.NewScanner(strings.NewReader(traces))
	for lines.Scan() {
		fields := strings.Fields(strings.TrimSuffix(lines.Text(), " (inline)"))
		switch {
		case strings.HasPrefix(lines.Text(), "-----"):
			end()
		case len(fields) == 2 && took == 0:
			if d, err := time.ParseDuration(fields[0]); err == nil {
				took, functions = d.Seconds(), []string{fields[1]}
			}
		case len(fields) == 1 && took > 0:
			functions = append(functions, fields[0])
		}
	}
	end()
	if total == 0 {
		return nil, fmt.Errorf("Caddy's profile has no samples:\n%s", traces)
	}
	for name := range byPart {
		byPart[name] /= total
	}
	return byPart, nil
}
