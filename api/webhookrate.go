package api

import (
	"fmt"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// rateLimitInput is how many requests to a webhook may begin in a time. Both members are required.
type rateLimitInput struct {
	Requests optional[int]    `json:"requests"`
	Per      optional[string] `json:"per"`
}

// rateLimit is the same as answers have it.
type rateLimit struct {
	Requests int    `json:"requests"`
	Per      string `json:"per"`
}

func newRateLimit(r *delivery.RateLimit) *rateLimit {
	if r == nil {
		return nil
	}
	return &rateLimit{r.Requests, durationText(r.Per)}
}

// rateLimitOf reads a rate limit that is there, and notes what is wrong with it.
func rateLimitOf(in *optional[rateLimitInput], errs *fieldErrors) *delivery.RateLimit {
	if !in.Set || in.Null {
		return nil
	}
	n, per := in.Value.Requests, in.Value.Per
	r := &delivery.RateLimit{Requests: n.Value}
	if errs.required("rate_limit.requests", n.Set, n.Null) && (n.Value < 1 || n.Value > delivery.MaxRateRequests) {
		errs.add("rate_limit.requests", fmt.Sprintf("This must be 1 to %d.", delivery.MaxRateRequests))
	}
	if !errs.required("rate_limit.per", per.Set, per.Null) {
		return r
	}
	var err error
	switch r.Per, err = parseDuration(per.Value); {
	case err != nil:
		errs.check("rate_limit.per", err)
	case r.Per < delivery.MinRatePer || r.Per > delivery.MaxRatePer || r.Per%time.Millisecond != 0:
		errs.add("rate_limit.per", "This must be "+durationText(delivery.MinRatePer)+" to "+durationText(delivery.MaxRatePer)+", in whole milliseconds.")
	}
	return r
}

// rateLimitSchema is that of a rate limit, as it is given.
func rateLimitSchema() *jsonschema.Schema {
	return &jsonschema.Schema{
		Types: []string{"null", "object"}, AdditionalProperties: &jsonschema.Schema{Not: new(jsonschema.Schema)},
		Required: []string{"requests", "per"},
		Description: "How many requests to this webhook may begin in a time, evenly spaced, by all processes together; null for no limit. " +
			"The rest waits. What is given replaces the whole.",
		Properties: map[string]*jsonschema.Schema{
			"requests": {Type: "integer", Minimum: new(1.0), Maximum: new(float64(delivery.MaxRateRequests))},
			"per": {
				Type: "string", MaxLength: new(maxDurationLength),
				Description: "Such as 1s, 1m, 1h or 1d: " + durationText(delivery.MinRatePer) + " to " + durationText(delivery.MaxRatePer) + ".",
			},
		},
	}
}
