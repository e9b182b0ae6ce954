// Command bench measures how fast webhooks are delivered on this machine. It runs a real
// Caddy with this module, each of the stores, and a receiver. A machine's pace drifts, so
// each load is compared with a bare loop of POSTs to the same receiver, measured just
// before and just after it. The command prints tables, and keeps the figures as JSON for
// the next run to compare with.
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

// workload is one thing to measure with each store, each time with a fresh Caddy.
type workload struct {
	name string
	run  func(ctx context.Context, r *rig) (figures, error)
	// retryDelay and retryJitter go into the Caddyfile. Without a retryJitter, both are
	// the defaults.
	retryDelay  time.Duration
	retryJitter func(o *options) time.Duration
	// store is the only store to measure it with, "" for all.
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
	{name: "S", run: measureStored},
	{name: "restart", run: measureRestart, store: "embedded"},
	{name: "Z", run: measureIdle},
}

// bareLoop is the name of the bare loop among the workloads.
const bareLoop = "B"

var stores = []string{"redis", "embedded"}

// options are the options of the command line.
type options struct {
	caddy     string
	json      string
	only      string
	stores    string
	time      time.Duration
	pending   int
	failures  int
	documents string
}

func main() {
	var o options
	flag.StringVar(&o.caddy, "caddy", "bin/caddy", "the Caddy to measure, built with this module")
	flag.StringVar(&o.json, "json", "bench/results.json", "the file that has the last run's figures, and gets this run's")
	flag.StringVar(&o.only, "only", "", "measure only these workloads, separated by commas: "+names()+"; T is T1 and T2")
	flag.StringVar(&o.stores, "stores", strings.Join(stores, ","), "measure with these stores, separated by commas")
	flag.DurationVar(&o.time, "time", 10*time.Second, "how long to measure each load")
	flag.IntVar(&o.pending, "pending", 1_000_000, "how many deliveries are pending in P and restart")
	flag.IntVar(&o.failures, "failures", 100_000, "how many deliveries fail in R")
	flag.StringVar(&o.documents, "documents", "", "measure nothing, but put the last figures into the documents of this checkout")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	if o.documents == "" {
		return measure(ctx, o)
	}
	last, err := readResults(o.json)
	if err != nil {
		return err
	}
	return writeDocuments(o.documents, last)
}

func names() string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.name)
	}
	return strings.Join(all, ", ")
}

// measure runs the selected workloads. If one fails, the others run all the same.
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

// selection returns the workloads and stores that -only and -stores ask for.
func (o *options) selection() ([]workload, []string, error) {
	columns := strings.Split(o.stores, ",")
	for _, store := range columns {
		if !slices.Contains(stores, store) {
			return nil, nil, fmt.Errorf("there is no store %q; the stores are %s", store, strings.Join(stores, ", "))
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
			return nil, nil, fmt.Errorf("there is no workload %q; the workloads are %s", name, names())
		}
	}
	return wanted, columns, nil
}
