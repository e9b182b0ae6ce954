package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// costs are what an event costs, in seconds of CPU, and the places that it takes, as results
// have them. A figure that was not measured is NaN, and is printed as a dash.
type costs struct{ results *results }

func (c costs) figure(workload, store string, name figure) float64 {
	if value, ok := c.results.of(workload, store, name); ok {
		return value
	}
	return math.NaN()
}

// each is a CPU time for one event, in seconds.
func (c costs) each(workload, store string, name figure) float64 {
	return c.figure(workload, store, name) / 1000
}

// thread is what an event costs the one thread of the store that does all its work: Redis's
// main thread, or the writer of the embedded store.
func (c costs) thread(workload, store string) float64 {
	if store == "redis" {
		return c.each(workload, store, cpuThread)
	}
	return c.each(workload, store, storePart)
}

// product is what an event costs Caddy and the store together.
func (c costs) product(workload, store string) float64 {
	if store == "redis" {
		return c.each(workload, store, cpuCaddy) + c.each(workload, store, cpuRedis)
	}
	return c.each(workload, store, cpuCaddy)
}

// on is how many events a second the product delivers on so many cores that it has to itself,
// and whether the store's thread is what limits it.
func (c costs) on(cores float64, workload, store string) (perSecond float64, limited bool) {
	all, thread := cores/c.product(workload, store), 1/c.thread(workload, store)
	return math.Min(all, thread), thread < all
}

// kind is a workload in words.
type kind struct{ workload, words string }

var kinds = []kind{
	{"E", "arrays of 100 events; endpoints with HTTP/1.1"},
	{"M", "the same, for 10,000 webhooks of 1,000 tenants"},
	{"T2", "arrays of 100 events; endpoints with TLS and HTTP/2"},
	{"E1", "single events; endpoints with HTTP/1.1"},
}

// expectTable is what to expect on a machine, measured and by the model.
func (c costs) expectTable() string {
	t := newMarkdown("", "store", fmt.Sprintf("measured on %d cores", c.results.CPUs), "model, 2 cores", "model, 8 cores")
	for _, k := range kinds {
		if k.workload == "M" {
			continue
		}
		for _, store := range stores {
			cells := []string{k.words, store, grouped(c.figure(k.workload, store, rate))}
			for _, cores := range []float64{2, 8} {
				n, limited := c.on(cores, k.workload, store)
				cell := grouped(n)
				if limited {
					cell += " *"
				}
				cells = append(cells, cell)
			}
			t.row(cells...)
		}
	}
	return t.String()
}

// coreTable is what one core does.
func (c costs) coreTable() string {
	t := newMarkdown("events, each for one webhook", "store", "Caddy, µs", "events/s for a core of Caddy",
		"the store's thread, µs", "events/s of that thread", "reached with cores")
	for _, k := range kinds {
		for _, store := range stores {
			caddy, thread := c.each(k.workload, store, cpuCaddy), c.thread(k.workload, store)
			t.row(k.words, store, micros(caddy), grouped(1/caddy), micros(thread), grouped(1/thread),
				digits(c.product(k.workload, store)/thread))
		}
	}
	return t.String()
}

// nodeTable is the simulation of a Cluster.
func (c costs) nodeTable() string {
	const workload = "M"
	caddy, thread := c.each(workload, "redis", cpuCaddy), c.thread(workload, "redis")
	t := newMarkdown("tenants", "the largest has", "nodes", "partitions", "the busiest node has", "events/s", "mean use of the nodes", "cores for Caddy")
	all := placementsOf(simulatedTenants)
	for _, law := range []struct {
		words    string
		exponent float64
	}{
		{"10,000, power law n^-1.1", powerLaw}, {"10,000, power law n^-0.6", 0.6}, {"10,000, all alike", 0},
	} {
		shares := tenantShares(simulatedTenants, law.exponent)
		for _, size := range []struct{ nodes, partitions int }{
			{1, 1}, {10, 16}, {10, 256}, {100, 256}, {100, 1024},
		} {
			busiest := 1.0
			if size.nodes > 1 {
				busiest = busiestShare(all, shares, size.partitions, size.nodes)
			}
			events := 1 / thread / busiest
			t.row(law.words, percent(shares[0]), strconv.Itoa(size.nodes), strconv.Itoa(size.partitions), percent(busiest),
				grouped(events), percent(1/busiest/float64(size.nodes)), digits(events*caddy))
		}
	}
	return t.String()
}

// roomTable is what a million events a day take.
func (c costs) roomTable() string {
	const million = 1e6
	memory, redisDisk := c.figure("S", "redis", storedMemory), c.figure("S", "redis", storedDisk)
	disk := c.figure("S", "embedded", storedDisk)
	t := newMarkdown("retention", "Redis's memory", "Redis's disk, just rewritten", "while it is rewritten, at most", "embedded: disk")
	for _, days := range []float64{1, 7, 14} {
		t.row(fmt.Sprintf("%g d", days), gigabytes(memory*million*days), gigabytes(redisDisk*million*days),
			gigabytes(3*redisDisk*million*days), gigabytes(disk*million*days))
	}
	return t.String()
}

// memoryTable is how many events a node's memory has room for.
func (c costs) memoryTable() string {
	const giga, day = 1e9, 86400
	memory := c.figure("S", "redis", storedMemory)
	t := newMarkdown("memory for data, each node", "retention", "1 node", "10 nodes", "100 nodes")
	for _, size := range []float64{16, 64} {
		for _, days := range []float64{1, 14} {
			cells := []string{fmt.Sprintf("%g GB", size), fmt.Sprintf("%g d", days)}
			for _, nodes := range []float64{1, 10, 100} {
				cells = append(cells, grouped(nodes*size*giga/memory/days/day))
			}
			t.row(cells...)
		}
	}
	return t.String()
}

// profileTable is where the CPU of an event goes.
func (c costs) profileTable() string {
	columns := []kind{{"E", "redis"}, {"E", "embedded"}, {"E1", "redis"}, {"E1", "embedded"}, {"T2", "redis"}, {"T2", "embedded"}}
	head := []string{"µs of CPU for an event"}
	for _, column := range columns {
		head = append(head, column.workload+", "+column.words)
	}
	t := newMarkdown(head...)
	for _, name := range append([]figure{cpuBench, cpuRedis, cpuThread, cpuScripts, cpuCommands, cpuCaddy}, partNames()...) {
		cells := []string{strings.TrimSuffix(strings.TrimPrefix(string(name), "CPU of "), ", s per 1,000")}
		for _, column := range columns {
			cells = append(cells, micros(c.each(column.workload, column.words, name)))
		}
		t.row(cells...)
	}
	return t.String()
}

func micros(seconds float64) string { return digits(seconds * 1e6) }

func gigabytes(bytes float64) string { return digits(bytes/1e9) + " GB" }

func percent(share float64) string {
	if share < 0.001 {
		return "under 0.1 %"
	}
	return digits(share*100) + " %"
}

// digits writes a number with two digits, or all that it has before the point.
func digits(n float64) string {
	switch {
	case math.IsNaN(n) || math.IsInf(n, 0):
		return "–"
	case n < 10:
		return strconv.FormatFloat(n, 'f', 1, 64)
	default:
		return grouped(n)
	}
}

// grouped writes a number with three digits that mean something, and commas between
// thousands.
func grouped(n float64) string {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return "–"
	}
	step := math.Pow(10, math.Max(0, math.Floor(math.Log10(math.Max(n, 1)))-2))
	text := strconv.FormatFloat(math.Round(n/step)*step, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
