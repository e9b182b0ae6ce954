package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// goal is a figure that is asked for.
type goal struct {
	what string
	// reached computes it from the figures of one store. It is NaN without them.
	reached func(of lookup) float64
	asked   map[string]string // by store
}

// lookup returns a figure, or NaN if it was not measured.
type lookup func(workload string, name figure) float64

var goals = []goal{
	{"E / B", toB("E"), both("0.75", "0.80")},
	{"E1 / B", toB("E1"), both("0.35", "0.35")},
	{"F, deliveries / B", toB("F"), both("0.80", "0.85")},
	{"M / E", toE("M"), both("0.85", "0.85")},
	{"L: p99 over the bare POST's, ms more", func(of lookup) float64 {
		return of("L", p99) - of("L", bareP99)
	}, both("2", "2")},
	{"R: retry start after due, p99, ms", func(of lookup) float64 { return of("R", p99) }, both("50", "50")},
	{"CPU per event, L / E", func(of lookup) float64 { return perEvent(of, "L") / perEvent(of, "E") }, both("5", "5")},
	{"P / E", toE("P"), both("0.95", "0.95")},
	{"H: healthy p99 over that without hanging", func(of lookup) float64 {
		return of("H", p99) / of("H", aloneP99)
	}, both("1.5", "1.5")},
	{"Z: CPU of Caddy, %", func(of lookup) float64 { return of("Z", share) }, both("0.5", "0.5")},
	{"Z: Redis commands/s", func(of lookup) float64 { return of("Z", commandRate) }, both("2", "")},
	{"memory per pending delivery, payload aside, bytes", func(of lookup) float64 {
		if redis := of("P", pendingRedis); !math.IsNaN(redis) {
			return redis
		}
		return of("P", pendingCaddy)
	}, both("300", "300")},
	{"restart with a million pending: serving after, s", func(of lookup) float64 { return of("restart", serving) }, both("", "5")},
	{"then sending after, s more", func(of lookup) float64 { return of("restart", sending) - of("restart", serving) }, both("", "1")},
}

func both(redis, embedded string) map[string]string {
	return map[string]string{"redis": redis, "embedded": embedded}
}

func toB(workload string) func(lookup) float64 {
	return func(of lookup) float64 { return of(workload, toBare) }
}

// toE compares a workload with E. Each is first compared with the bare loop beside it, as
// the two were not measured at the same time.
func toE(workload string) func(lookup) float64 {
	return func(of lookup) float64 { return of(workload, toBare) / of("E", toBare) }
}

// perEvent is the CPU time of the product, its store included.
func perEvent(of lookup, workload string) float64 {
	cpu := of(workload, cpuCaddy)
	if redis := of(workload, cpuRedis); !math.IsNaN(redis) {
		cpu += redis
	}
	return cpu
}

// printGoals prints what was reached and what is asked for. Figures that this run has not
// measured are those of an earlier run.
func printGoals(out io.Writer, now *results) {
	table := newTable(out)
	for _, store := range stores {
		fmt.Fprintf(table, "\t%s\tASKED", strings.ToUpper(store))
	}
	fmt.Fprintln(table)
	for _, g := range goals {
		fmt.Fprint(table, g.what)
		for _, store := range stores {
			reached := g.reached(func(workload string, name figure) float64 {
				if value, ok := now.of(workload, store, name); ok {
					return value
				}
				return math.NaN()
			})
			cell := ""
			if !math.IsNaN(reached) {
				cell = fmt.Sprintf("%.3g", reached)
			}
			fmt.Fprintf(table, "\t%s\t%s", cell, g.asked[store])
		}
		fmt.Fprintln(table)
	}
	_ = table.Flush() // an error leaves nobody to tell
}
