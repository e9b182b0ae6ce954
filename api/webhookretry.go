package api

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// retryInput is how deliveries of a webhook are to be tried again. In it null is as if the member
// were not there, as in a merge patch.
type retryInput struct {
	Attempts optional[int]      `json:"attempts"`
	Delays   optional[[]string] `json:"delays"`
	Jitter   optional[[]string] `json:"jitter"`
}

// retry is the same as answers have it.
type retry struct {
	Attempts int      `json:"attempts,omitzero"`
	Delays   []string `json:"delays,omitzero"`
	Jitter   []string `json:"jitter,omitzero"`
}

func newRetry(r *delivery.Retry) *retry {
	if r == nil {
		return nil
	}
	return &retry{Attempts: r.Attempts, Delays: durationTexts(r.Delays), Jitter: durationTexts(r.Jitter)}
}

// retryOf reads a retry that is there, and notes what is wrong with it.
func retryOf(in *optional[retryInput], errs *fieldErrors) *delivery.Retry {
	if in.Null {
		return nil
	}
	r := &delivery.Retry{Attempts: in.Value.Attempts.Value}
	if a := in.Value.Attempts; a.Set && !a.Null && (a.Value < 1 || a.Value > delivery.MaxAttempts) {
		errs.add("retry.attempts", fmt.Sprintf("This must be 1 to %d.", delivery.MaxAttempts))
	}
	if d := in.Value.Delays; d.Set && !d.Null {
		if n := len(d.Value); n < 1 || n > delivery.MaxDelays {
			errs.add("retry.delays", fmt.Sprintf("This must contain 1 to %d durations.", delivery.MaxDelays))
		} else {
			r.Delays = retryDurations("retry.delays", d.Value, errs)
		}
	}
	if j := in.Value.Jitter; j.Set && !j.Null {
		switch r.Jitter = nil; {
		case len(j.Value) != 2:
			errs.add("retry.jitter", "This must contain two durations, the least and the most that is added to a delay.")
		default:
			r.Jitter = retryDurations("retry.jitter", j.Value, errs)
			if len(r.Jitter) == 2 && r.Jitter[0] > r.Jitter[1] {
				errs.add("retry.jitter", "The first of these must not be longer than the second.")
			}
		}
	}
	return r
}

// retryDurations reads durations of which there are some, and notes what is wrong with each.
func retryDurations(field string, texts []string, errs *fieldErrors) (all []time.Duration) {
	for i, text := range texts {
		d, err := parseDuration(text)
		switch {
		case err != nil:
			errs.check(field+"."+strconv.Itoa(i), err)
		case d < 0 || d > delivery.MaxRetryDelay:
			errs.add(field+"."+strconv.Itoa(i), "This must be 0s to "+durationText(delivery.MaxRetryDelay)+".")
		default:
			all = append(all, d)
		}
	}
	return all
}

const retryDescription = "How failed deliveries are tried again; null for as the server's configuration says, which is also what counts for each member that is left out. " +
	"What is given replaces the whole."

// retrySchema is that of a retry, as it is given.
func retrySchema() *jsonschema.Schema {
	duration := func(what string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", MaxLength: new(maxDurationLength), Description: what}
	}
	return &jsonschema.Schema{
		Types: []string{"null", "object"}, Description: retryDescription, AdditionalProperties: &jsonschema.Schema{Not: new(jsonschema.Schema)},
		Properties: map[string]*jsonschema.Schema{
			"attempts": {
				Types: []string{"null", "integer"}, Minimum: new(1.0), Maximum: new(float64(delivery.MaxAttempts)),
				Description: "Attempts in all, the first included. With delays, and without this, one more than there are delays.",
			},
			"delays": {
				Types: []string{"null", "array"}, MinItems: new(1), MaxItems: new(delivery.MaxDelays),
				Items:       duration("Such as 5s, 2m, 1h30m or 14d; " + durationText(delivery.MaxRetryDelay) + " at most."),
				Description: "The first is waited for after the first attempt has failed, and so on; the last one again and again.",
			},
			"jitter": {
				Types: []string{"null", "array"}, MinItems: new(2), MaxItems: new(2), Items: duration("As in delays."),
				Description: "The least and the most that is added to a delay at random.",
			},
		},
	}
}

// concurrencySchema is that of a webhook's concurrency, as it is given.
func concurrencySchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Types: []string{"null", "integer"}, Minimum: new(1.0), Maximum: new(float64(delivery.MaxConcurrency)),
		Description: "Requests in flight to this webhook, in each process; null for as many as the server's configuration says. That of all webhooks together stays.",
	}
}
