package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A run of some workloads keeps the figures of the others, and shows what has changed.
func TestResultsKeepWhatWasNotMeasured(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.json")
	earlier := new(results).next()
	earlier.Date = earlier.Date.Add(-time.Hour)
	earlier.set("E", "redis", figures{rate: 1000, toBare: 0.5})
	earlier.set("E", "embedded", figures{toBare: 0.6})
	earlier.set("M", "redis", figures{toBare: 0.4})
	if err := earlier.write(path); err != nil {
		t.Fatal(err)
	}

	before, err := readResults(path)
	if err != nil {
		t.Fatal(err)
	}
	now := before.next()
	now.set("E", "redis", figures{rate: 2500.04, toBare: 0.8, allocated: math.NaN(), cpuCaddy: math.Inf(1)})
	if err := now.write(path); err != nil {
		t.Fatal(err)
	}
	if now, err = readResults(path); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		workload, store string
		name            figure
		value           float64
	}{
		{"E", "redis", rate, 2500},
		{"E", "redis", toBare, 0.8},
		{"E", "embedded", toBare, 0.6},
		{"M", "redis", toBare, 0.4},
	} {
		if value, ok := now.of(want.workload, want.store, want.name); !ok || value != want.value {
			t.Errorf("%s of %s, %s: %v, %v", want.name, want.workload, want.store, value, ok)
		}
	}

	var text strings.Builder
	printFigures(&text, before, now)
	if cells := line(t, text.String(), "E", "deliveries/s"); strings.Join(cells, " ") != "1000 2500 2.50" {
		t.Errorf("the figures before and now, and their ratio, are %q", cells)
	}
	if strings.Contains(text.String(), "\nM ") {
		t.Errorf("the table has a workload that was not measured:\n%s", text.String())
	}
	text.Reset()
	printGoals(&text, now)
	if cells := line(t, text.String(), "M / E", ""); strings.Join(cells, " ") != "0.5 0.85 0.85" {
		t.Errorf("M / E and what is asked for it, for both stores, are %q", cells)
	}
}

// line returns the cells of a line of a table, without those that name it.
func line(t *testing.T, table, workload, name string) []string {
	t.Helper()
	for line := range strings.Lines(table) {
		if rest, ok := strings.CutPrefix(line, workload); ok {
			if rest, ok = strings.CutPrefix(strings.TrimSpace(rest), name); ok {
				return strings.Fields(rest)
			}
		}
	}
	t.Fatalf("there is no line %s %s in\n%s", workload, name, table)
	return nil
}
