package chaos

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// table is what is printed in the end.
var table results

type results struct {
	mu    sync.Mutex
	lines []result
}

// result is what became of one scenario.
type result struct {
	scenario, store string
	verdict         verdict
	away            time.Duration // for how long the tenant who was worst off had no service
	back            time.Duration // how long after a fault all tenants had service again
	notes           []string
}

func (r *results) add(line result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *results) print(out io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) == 0 {
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCENARIO\tSTORE\tACKNOWLEDGED\tREFUSED\tUNKNOWN\tLOST\tDUPLICATES\tSECONDS WITHOUT SERVICE\tBACK AFTER\t")
	for _, l := range r.lines {
		v := &l.verdict
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f\t%.1f\t%s\n", l.scenario, l.store,
			v.acknowledged, v.refused, v.unknown, v.lost, v.duplicates, l.away.Seconds(), l.back.Seconds(), strings.Join(l.notes, "; "))
	}
	_ = w.Flush() // an error leaves nobody to tell
}
