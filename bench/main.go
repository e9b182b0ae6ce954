// Command bench measures, on this machine and in one run, how fast webhooks go
// out: a real Caddy with this module, through its Caddyfile, with each store, and
// a receiver. Since a machine's pace drifts, all is set in relation to a bare
// loop of POSTs to the same receiver, measured just before and after. It prints
// tables, and keeps the figures as JSON, to compare the next run with.
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
	"time"
)

// workload is what is measured with each store, from a fresh start.
type workload struct {
	name string
	run  func(ctx context.Context, r *rig) (figures, error)
	// retryDelay and retryJitter are the Caddyfile's; nil for the usual ones.
	retryDelay  time.Duration
	retryJitter func(o *options) time.Duration
	// store is the only one that it is about, "" for each.
	store string
}

var workloads = []workload{
	{name: "E", run: measureArrays},
	{name: "E1", run: measureSingles},
	{name: "F", run: measureFanOut},
	{name: "M", run: measureTenants},
	{name: "T1", run: measureHTTP1},
	{name: "T2", run: measureHTTP2},
	{name: "L", run: measureLatency},
	{name: "H", run: measureHanging},
	{name: "R", run: measureRetries, retryDelay: retryDelay, retryJitter: retrySpread},
	{name: "P", run: measurePending},
	{name: "restart", run: measureRestart, store: "embedded"},
	{name: "Z", run: measureIdle},
}

// bareLoop is the name of the bare loop's own line among the workloads.
const bareLoop = "B"

var stores = []string{"redis", "embedded"}

// options are the command line's.
type options struct {
	caddy    string
	json     string
	only     string
	stores   string
	time     time.Duration
	pending  int
	failures int
}

func main() {
	var o options
	flag.StringVar(&o.caddy, "caddy", "bin/caddy", "the Caddy to measure, built with this module")
	flag.StringVar(&o.json, "json", "bench/results.json", "where the figures of the last run are, and those of this one go")
	flag.StringVar(&o.only, "only", "", "measure only these, separated by commas: "+names()+"; T is T1 and T2")
	flag.StringVar(&o.stores, "stores", strings.Join(stores, ","), "with these stores")
	flag.DurationVar(&o.time, "time", 10*time.Second, "how long each load lasts that is measured")
	flag.IntVar(&o.pending, "pending", 1_000_000, "deliveries that are pending in P and restart")
	flag.IntVar(&o.failures, "failures", 100_000, "deliveries that fail in R")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func names() string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.name)
	}
	return strings.Join(all, ", ")
}

// measure runs what is wanted. A workload that fails leaves the others their run.
func measure(ctx context.Context, o *options) error {
	before, err := readResults(o.json)
	if err != nil {
		return err
	}
	wanted, columns, err := o.selection()
	if err != nil {
		return err
	}
	now := before.next()
	bares := make(map[string][]bareRun)
	failed := 0
	for _, w := range wanted {
		for _, store := range columns {
			if w.store != "" && w.store != store {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s measuring %s, %s\n", time.Now().Format(time.TimeOnly), w.name, store)
			f, bare, err := withRig(ctx, o, store, w)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s, %s: %v\n", w.name, store, err)
				failed++
				continue
			}
			bares[store] = append(bares[store], bare...)
			now.set(w.name, store, f)
		}
	}
	for store, runs := range bares {
		if len(runs) > 0 {
			now.set(bareLoop, store, summary(runs))
		}
	}
	printFigures(os.Stdout, before, now)
	printGoals(os.Stdout, now)
	if err := now.write(o.json); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d measurements failed; see above", failed)
	}
	return nil
}

// selection is what -only and -stores ask for.
func (o *options) selection() ([]workload, []string, error) {
	columns := strings.Split(o.stores, ",")
	for _, store := range columns {
		if !slices.Contains(stores, store) {
			return nil, nil, fmt.Errorf("there is no store %q, but %s", store, strings.Join(stores, ", "))
		}
	}
	if o.only == "" {
		return workloads, columns, nil
	}
	var wanted []workload
	for name := range strings.SplitSeq(o.only, ",") {
		found := len(wanted)
		for _, w := range workloads {
			if w.name == name || name == "T" && (w.name == "T1" || w.name == "T2") {
				wanted = append(wanted, w)
			}
		}
		if found == len(wanted) {
			return nil, nil, fmt.Errorf("there is no workload %q, but %s", name, names())
		}
	}
	return wanted, columns, nil
}
