// Command bench measures what is promised, on this machine: a real Caddy with
// this module, through its Caddyfile, with a real Redis, and a receiver. It
// prints a table. What can be is said as a ratio to a plain POST in the same
// run, since absolute times say more about the machine.
//
// make bench runs it, after building Caddy and finding a redis-server.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// measurement is one line or more of the table.
type measurement struct {
	name string
	run  func(ctx context.Context, r *rig) ([]result, error)
	// retryDelay and retryJitter are the Caddyfile's.
	retryDelay, retryJitter string
}

// result is one line of the table.
type result struct {
	what  string
	value string
	bound string // what is promised, or ""
}

var measurements = []measurement{
	{name: "idle", run: measureIdle},
	{name: "latency", run: measureLatency},
	{name: "hang", run: measureHang},
	{name: "retry", run: measureRetry, retryDelay: "2s", retryJitter: "2s"},
	{name: "memory", run: measureMemory, retryDelay: "1h"},
}

func main() {
	caddy := flag.String("caddy", "bin/caddy", "the Caddy to measure, built with this module")
	only := flag.String("only", "", "measure only these, separated by commas: "+names())
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *caddy, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func names() string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return strings.Join(all, ", ")
}

func measure(ctx context.Context, caddy, only string) error {
	wanted := func(name string) bool {
		return only == "" || slices.Contains(strings.Split(only, ","), name)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MEASURED\tVALUE\tPROMISED")
	for _, m := range measurements {
		if !wanted(m.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s\n", m.name)
		results, err := withRig(ctx, caddy, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for _, r := range results {
			fmt.Fprintf(table, "%s\t%s\t%s\n", r.what, r.value, r.bound)
		}
	}
	return table.Flush()
}
