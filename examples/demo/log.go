package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// clock is the layout of times.
const clock = "15:04:05.000"

// printLog prints the log as a table. The verdicts say for each event, request by request,
// whether the receiver found the signature right.
func printLog(out io.Writer, log []request, verdicts map[string][]bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tSTATUS\tCODE\tEVENT TYPE\tATTEMPT\tTRIGGER\tURL\tDURATION\tSIGNATURE")
	seen := make(map[string]int) // how many rows of each event were printed
	for _, r := range log {
		signature := "not seen"
		if i := seen[r.EventID]; i < len(verdicts[r.EventID]) {
			signature = map[bool]string{true: "✓", false: "✗"}[verdicts[r.EventID][i]]
		}
		seen[r.EventID]++
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			r.StartedAt.Local().Format(clock), r.Status, orDash(r.StatusCode), r.EventType,
			attempt(r), r.Trigger, r.URL, duration(r.DurationMS), signature)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range log {
		if r.Error != "" {
			fmt.Fprintf(out, "\nThe log says why the request failed: %s\n", r.Error)
		}
	}
	return nil
}

func attempt(r request) string {
	if r.Attempt == nil { // a re-run or a test
		return "-"
	}
	return fmt.Sprintf("%d/%d", *r.Attempt, r.MaxAttempts)
}

func duration(ms int64) string {
	if ms == 0 {
		return "<1 ms"
	}
	return fmt.Sprintf("%d ms", ms)
}

func orDash(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}
