// Command bench measures what is promised, on this machine: a real Caddy with
// this module, through its Caddyfile, with each store, and a receiver. It prints a
// table. What can be is said as a ratio to a plain POST in the same
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
	// only is the one store that it is about, "" for each.
	only string
}

// result is one line of the table, for one store.
type result struct {
	what  string
	value string
	bound string // what is promised, or ""
}

// stores are the columns of the table.
var stores = []string{"redis", "embedded"}

var measurements = []measurement{
	{name: "idle", run: measureIdle},
	{name: "latency", run: measureLatency},
	{name: "hang", run: measureHang},
	{name: "retry", run: measureRetry, retryDelay: "2s", retryJitter: "2s"},
	{name: "throughput", run: measureThroughput},
	{name: "memory", run: measureMemory, retryDelay: "1h"},
	{name: "restart", run: measureRestart, retryDelay: "1h", only: "embedded"},
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
	fmt.Fprintln(table, strings.ToUpper("measured\t"+strings.Join(stores, "\t")+"\tpromised"))
	for _, m := range measurements {
		if !wanted(m.name) {
			continue
		}
		lines, err := measureStores(ctx, caddy, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for _, line := range lines {
			fmt.Fprintln(table, strings.Join(line, "\t"))
		}
	}
	return table.Flush()
}

// measureStores gives the lines of a measurement: what, the value of each store,
// and what is promised.
func measureStores(ctx context.Context, caddy string, m measurement) ([][]string, error) {
	var lines [][]string
	for i, store := range stores {
		if m.only != "" && m.only != store {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring %s, %s\n", m.name, store)
		results, err := withRig(ctx, caddy, store, m)
		if err != nil {
			return nil, err
		}
		for j, r := range results {
			if len(lines) == j {
				lines = append(lines, make([]string, len(stores)+2))
			}
			lines[j][0], lines[j][i+1], lines[j][len(stores)+1] = r.what, r.value, r.bound
		}
	}
	return lines, nil
}
