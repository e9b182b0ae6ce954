package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// printFigures prints the figures of this run. Beside each are the figure of the run
// before, and the ratio of the two.
func printFigures(out io.Writer, before, now *results) {
	table := newTable(out)
	fmt.Fprint(table, "\t")
	for _, store := range stores {
		fmt.Fprintf(table, "\tBEFORE\t%s\t×", strings.ToUpper(store))
	}
	fmt.Fprintln(table)
	names := []string{bareLoop}
	for _, w := range workloads {
		names = append(names, w.name)
	}
	for _, name := range names {
		if !now.fresh(name) {
			continue
		}
		for _, f := range order {
			var cells []string
			some := false
			for _, store := range stores {
				var was, is, times string
				value, ok := now.of(name, store, f)
				if ok && now.Workloads[name][store].Date.Equal(now.Date) {
					is, some = number(value), true
					if old, ok := before.of(name, store, f); ok {
						was = number(old)
						if old != 0 {
							times = fmt.Sprintf("%.2f", value/old)
						}
					}
				}
				cells = append(cells, was, is, times)
			}
			if some {
				fmt.Fprintf(table, "%s\t%s\t%s\n", name, f, strings.Join(cells, "\t"))
			}
		}
	}
	_ = table.Flush() // an error leaves nobody to tell
	fmt.Fprintln(out)
}

func newTable(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

func number(value float64) string { return strconv.FormatFloat(value, 'f', -1, 64) }
