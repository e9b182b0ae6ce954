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

// results are the last figures of each workload, as the file keeps them.
type results struct {
	Date      time.Time                      `json:"date"` // of the last run
	Go        string                         `json:"go"`
	CPUs      int                            `json:"cpus"`
	Workloads map[string]map[string]measured `json:"workloads"` // by name, then by store
}

// measured are the figures of one workload with one store.
type measured struct {
	Date    time.Time `json:"date"` // of the run that measured them
	Figures figures   `json:"figures"`
}

// readResults reads the results of the last run. They are empty if there was none.
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

// next returns a copy of the results, in which this run replaces what it measures.
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

// set replaces the figures of a workload with a store. They have four digits, as more
// would mean nothing. A figure is left out if it is not a number because nothing arrived.
func (r *results) set(workload, store string, f figures) {
	rounded := make(figures)
	for name, value := range f {
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			rounded[name], _ = strconv.ParseFloat(strconv.FormatFloat(value, 'g', 4, 64), 64) // cannot fail
		}
	}
	if r.Workloads[workload] == nil {
		r.Workloads[workload] = make(map[string]measured)
	}
	r.Workloads[workload][store] = measured{r.Date, rounded}
}

// of returns a figure, and false if it was not measured.
func (r *results) of(workload, store string, name figure) (float64, bool) {
	value, ok := r.Workloads[workload][store].Figures[name]
	return value, ok
}

// fresh reports whether this run has measured a workload with any store.
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
	return os.WriteFile(path, append(text, '\n'), 0o644) //nolint:gosec // everyone may read it
}
