package api

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

// maxTextLength is how many characters q may have.
const maxTextLength = 200

var textTooLong = "This may have " + strconv.Itoa(maxTextLength) + " characters at most."

// findParameters are the filters that are looked for in the rows themselves, one by one.
var findParameters = []string{"status_code", "trigger", "url", "q"}

// triggers are those that a request may have.
var triggers = []delivery.Trigger{delivery.TriggerEvent, delivery.TriggerRetry, delivery.TriggerRerun, delivery.TriggerTest, delivery.TriggerReplay}

// setFind sets one of findParameters.
func setFind(f *delivery.RequestFilter, name, value string) (detail string, ok bool) {
	switch name {
	case "status_code":
		f.StatusCodes, ok = parseStatusCodes(value)
		return "This must be a status code, such as 404, or a class of them, such as 4xx.", ok
	case "trigger":
		f.Trigger = delivery.Trigger(value)
		return "This must be event, retry, rerun, test or replay.", slices.Contains(triggers, f.Trigger)
	case "url":
		f.URLPrefix = value
		return "This is longer than a URL may be.", len(value) <= sender.MaxURLLength
	case "q":
		f.Text = value
		return textTooLong, utf8.RuneCountInString(value) <= maxTextLength
	}
	return "", true
}

const statusCodePattern = "^[1-9]([0-9]{2}|xx)$"

// parseStatusCodes takes what statusCodePattern does.
func parseStatusCodes(value string) (codes delivery.StatusCodes, ok bool) {
	last := value
	if class, whole := strings.CutSuffix(value, "xx"); whole {
		value, last = class+"00", class+"99"
	}
	if len(value) != 3 || value[0] == '0' || strings.Trim(value, "0123456789") != "" {
		return codes, false
	}
	codes.First, _ = strconv.Atoi(value)
	codes.Last, _ = strconv.Atoi(last)
	return codes, true
}
