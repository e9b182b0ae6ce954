package caddymodule

import (
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Retry says how many attempts a delivery has, and when failed ones are repeated.
type Retry struct {
	// How many attempts a delivery has in all, including the first; 1 to 100.
	// Default: 3 or, with `delays`, one more than there are delays.
	Attempts int `json:"attempts,omitempty"`

	// The time from the end of a failed attempt until the next one is due.
	// Default: 2m.
	Delay *caddy.Duration `json:"delay,omitempty"`

	// The same for each attempt, in place of `delay`: 1 to 30 times, the first after
	// the first attempt and so on, the last one again and again. Use growing ones for
	// endpoints that may be away for hours.
	Delays []caddy.Duration `json:"delays,omitempty"`

	// A random time that is added to each delay, so that deliveries that failed
	// together are not all repeated together. Default: 1s to 60s.
	Jitter *Jitter `json:"jitter,omitempty"`

	// How long an endpoint can put the next attempt off by the header `Retry-After` of an
	// answer that is no success, at the most; up to 168h, and 0 to ignore the header. An
	// attempt never comes sooner than by `delay` and `jitter`. Default: 24h with
	// `standard_webhooks`, and 0 without.
	RetryAfter *caddy.Duration `json:"retry_after,omitempty"`
}

// standardRetryAfter is the default of RetryAfter where Standard Webhooks asks for it.
const standardRetryAfter = 24 * time.Hour

// Jitter bounds a random duration, drawn uniformly.
type Jitter struct {
	// The shortest. Default: 0.
	Min caddy.Duration `json:"min,omitempty"`

	// The longest. Default: 0.
	Max caddy.Duration `json:"max,omitempty"`
}

// apply puts what is configured in place of the defaults.
func (r *Retry) apply(p *delivery.RetryPolicy) {
	if r == nil {
		return
	}
	if r.Delay != nil {
		p.Delays = []time.Duration{time.Duration(*r.Delay)}
	}
	if len(r.Delays) > 0 {
		p.Attempts, p.Delays = len(r.Delays)+1, nil
		for _, delay := range r.Delays {
			p.Delays = append(p.Delays, time.Duration(delay))
		}
	}
	if r.Attempts != 0 {
		p.Attempts = r.Attempts
	}
	if r.Jitter != nil {
		p.JitterMin, p.JitterMax = time.Duration(r.Jitter.Min), time.Duration(r.Jitter.Max)
	}
	if r.RetryAfter != nil {
		p.RetryAfter = time.Duration(*r.RetryAfter)
	}
}

func (r *Retry) check() error {
	if r != nil && r.Delay != nil && r.Delays != nil {
		return errors.New("retry takes delay or delays, not both")
	}
	return nil
}

func (a *App) parseRetry(d *caddyfile.Dispenser) error {
	a.Retry = new(Retry)
	return parseNested(d, map[string]option{
		"attempts": {parse: a.checked(nonZero(integer(&a.Retry.Attempts)))},
		"delay": {parse: a.checked(func(d *caddyfile.Dispenser) error {
			a.Retry.Delay = new(caddy.Duration)
			_, err := duration(a.Retry.Delay)(d)
			return err
		})},
		"delays": {parse: a.checked(durations(&a.Retry.Delays))},
		"jitter": {parse: a.checked(jitter(&a.Retry.Jitter))},
		"retry_after": {parse: a.checked(func(d *caddyfile.Dispenser) error {
			a.Retry.RetryAfter = new(caddy.Duration)
			_, err := duration(a.Retry.RetryAfter)(d)
			return err
		})},
	})
}
