//go:build chaos && linux

package chaos

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// sample is what Caddy and its store need at some moment of a soak.
type sample struct {
	after       time.Duration
	arrived     int64   // requests, in all
	goroutines  float64 // of all Caddys together, as the next two
	descriptors float64
	resident    float64 // bytes
	store       float64 // bytes: of Redis's memory, or of the folder
	keys        int64   // of Redis, without those of events, which stay for the retention
	events      int64   // keys of events
}

func (s *soak) sample(after time.Duration) sample {
	s.t.Helper()
	p := sample{after: after, arrived: s.arrivals()}
	for _, c := range s.caddys {
		for name, sum := range map[string]*float64{
			"go_goroutines": &p.goroutines, "process_open_fds": &p.descriptors, "process_resident_memory_bytes": &p.resident,
		} {
			n, err := c.metric(s.t.Context(), name)
			s.must(err)
			*sum += n
		}
	}
	if s.redis == nil {
		p.store = s.folderSize()
		return p
	}
	info, err := s.client.Info(s.t.Context(), "memory").Result()
	s.must(err)
	_, rest, _ := strings.Cut(info, "used_memory:")
	used, _, _ := strings.Cut(rest, "\r")
	p.store, err = strconv.ParseFloat(used, 64)
	s.must(err)
	scan := s.client.Scan(s.t.Context(), 0, "*", 10_000).Iterator()
	for scan.Next(s.t.Context()) {
		if strings.Contains(scan.Val(), "}:event:") {
			p.events++
		} else {
			p.keys++
		}
	}
	s.must(scan.Err())
	return p
}

func (s *soak) folderSize() (size float64) {
	s.t.Helper()
	s.must(filepath.WalkDir(s.folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += float64(info.Size())
		}
		return err
	}))
	return size
}

// printSamples prints the samples as a table.
func printSamples(t *testing.T, samples []sample) {
	t.Helper()
	const mega = 1e6
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s, AFTER\tREQUESTS\tGOROUTINES\tDESCRIPTORS\tCADDYS, MB\tSTORE, MB\tKEYS\tKEYS OF EVENTS\t\n", t.Name())
	for _, s := range samples {
		fmt.Fprintf(w, "%s\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%d\t\n", s.after.Round(time.Second), s.arrived,
			s.goroutines, s.descriptors, s.resident/mega, s.store/mega, s.keys, s.events)
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
}
