package api

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// day is the unit that durations in JSON have beside those of Go, as in the Caddyfile.
const day = 24 * time.Hour

// maxDurationLength is how many bytes the text of a duration may have.
const maxDurationLength = 64

var (
	errNoDuration = errors.New("this must be a duration such as \"5s\", \"2m\", \"1h30m\" or \"14d\"")
	days          = regexp.MustCompile(`[0-9.]+d`)
)

// parseDuration takes the text of a duration.
func parseDuration(text string) (time.Duration, error) {
	if len(text) > maxDurationLength {
		return 0, errNoDuration
	}
	d, err := time.ParseDuration(days.ReplaceAllStringFunc(text, func(of string) string {
		n, err := strconv.ParseFloat(strings.TrimSuffix(of, "d"), 64)
		if err != nil {
			return of // no duration either
		}
		return strconv.FormatFloat(n*day.Hours(), 'f', -1, 64) + "h"
	}))
	if err != nil {
		return 0, errNoDuration
	}
	return d, nil
}

// durationText is the shortest text of a duration.
func durationText(d time.Duration) string {
	if d != 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String()
	for _, unit := range []string{"m", "h"} {
		for _, zero := range []string{"0s", "0m"} {
			if before, ok := strings.CutSuffix(text, unit+zero); ok {
				text = before + unit
			}
		}
	}
	return text
}

func durationTexts(all []time.Duration) (texts []string) {
	for _, d := range all {
		texts = append(texts, durationText(d))
	}
	return texts
}
