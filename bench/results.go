package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"runtime"
	"strconv"
	"time"
)

// results are the last figures of each workload, as they are kept.
type results struct {
	Date      time.Time                      `json:"date"` // of the last run
	Go        string                         `json:"go"`
	CPUs      int                            `json:"cpus"`
	Workloads map[string]map[string]measured `json:"workloads"` // by name, then by store
}

// measured is one workload with one store.
type measured struct {
	Date    time.Time `json:"date"` // of its run
	Figures figures   `json:"figures"`
}

// readResults reads what the last run left; nothing if it left nothing.
func readResults(path string) (*results, error) {
	r := new(results)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return r, json.Unmarshal(text, r)
}

// next are the same results for this run to replace.
func (r *results) next() *results {
	next := &results{
		Date:      time.Now().UTC().Truncate(time.Second),
		Go:        runtime.Version(),
		CPUs:      runtime.NumCPU(),
		Workloads: make(map[string]map[string]measured),
	}
	for name, stores := range r.Workloads {
		next.Workloads[name] = maps.Clone(stores)
	}
	return next
}

// set replaces the figures of a workload with a store, with four digits each:
// there is no truth in more. What is no number, since nothing arrived, is left out.
func (r *results) set(workload, store string, f figures) {
	rounded := make(figures)
	for name, value := range f {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			rounded[name], _ = strconv.ParseFloat(strconv.FormatFloat(value, 'g', 4, 64), 64) // it is a number
		}
	}
	if r.Workloads[workload] == nil {
		r.Workloads[workload] = make(map[string]measured)
	}
	r.Workloads[workload][store] = measured{r.Date, rounded}
}

// of gives a figure, false if it was not measured.
func (r *results) of(workload, store string, name figure) (float64, bool) {
	value, ok := r.Workloads[workload][store].Figures[name]
	return value, ok
}

// fresh says whether this run has measured a workload with any store.
func (r *results) fresh(workload string) bool {
	for _, m := range r.Workloads[workload] {
		if m.Date.Equal(r.Date) {
			return true
		}
	}
	return false
}

func (r *results) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644) //nolint:gosec // it is for all to read
}
