package caddymodule

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-webhooks/caddy-webhooks/api"
	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// Limits are what each tenant may have, so that it leaves something for the others. Of
// several Caddys on one store, each counts events and streams for itself.
type Limits struct {
	// How many webhooks a tenant can have; at most 10000. More are refused with 409.
	// Default: 10000.
	Webhooks int `json:"webhooks,omitempty"`

	// How many events a tenant can emit in `events_per`: so many at once, and then one
	// after the other. More are refused with 429. Default: any number.
	Events int `json:"events,omitempty"`

	// The time in which a tenant can emit so many events; 1s to 1d.
	EventsPer caddy.Duration `json:"events_per,omitempty"`

	// How many streams of its log a tenant can have open; at most 64. More are refused
	// with 429. Default: 64.
	Streams int `json:"streams,omitempty"`

	// How many bytes of events and of the log a tenant can have stored, by all Caddys on
	// the store together. More events, tests and re-runs are refused with 429 until old
	// ones are no longer kept. It is counted from when the limit is set, and what is
	// deleted counts for as long as the retention. Default: any number.
	Stored int64 `json:"stored,omitempty"`
}

// check returns an error if a limit makes no sense.
func (l *Limits) check() error {
	if l == nil {
		return nil
	}
	per := time.Duration(l.EventsPer)
	switch {
	case l.Webhooks < 0 || l.Webhooks > delivery.MaxWebhooks:
		return fmt.Errorf("limits webhooks must be 1 to %d, not %d", delivery.MaxWebhooks, l.Webhooks)
	case l.Events < 0 || l.Events > 1_000_000_000:
		return fmt.Errorf("limits events must be 1 to 1000000000, not %d", l.Events)
	case l.Events > 0 && (per < time.Second || per > 24*time.Hour):
		return fmt.Errorf("limits events must be for a time of 1s to 24h, not %s", per)
	case l.Events == 0 && per != 0:
		return fmt.Errorf("limits events_per is %s, but there are no events", per)
	case l.Streams < 0 || l.Streams > delivery.MaxTenantFollowers:
		return fmt.Errorf("limits streams must be 1 to %d, not %d", delivery.MaxTenantFollowers, l.Streams)
	case l.Stored != 0 && (l.Stored < minStored || l.Stored > maxStored):
		return fmt.Errorf("limits stored must be 1MiB to 1PiB, not %d bytes", l.Stored)
	default:
		return nil
	}
}

// Bounds of what a tenant can have stored.
const minStored, maxStored = 1 << 20, 1 << 50

// ofTenant are the limits that the API holds.
func (l *Limits) ofTenant() api.TenantLimits {
	if l == nil {
		return api.TenantLimits{}
	}
	return api.TenantLimits{Events: l.Events, EventsPer: time.Duration(l.EventsPer), Stored: l.Stored}
}

func (a *App) parseLimits(d *caddyfile.Dispenser) error {
	a.Limits = new(Limits)
	return parseNested(d, map[string]option{
		"webhooks": {parse: a.checked(nonZero(integer(&a.Limits.Webhooks)))},
		"events":   {parse: a.checked(a.Limits.parseEvents)},
		"streams":  {parse: a.checked(nonZero(integer(&a.Limits.Streams)))},
		"stored":   {parse: a.checked(nonZero(size(&a.Limits.Stored)))},
	})
}

func (l *Limits) parseEvents(d *caddyfile.Dispenser) error {
	var events, per string
	if !d.AllArgs(&events, &per) {
		return d.ArgErr()
	}
	var err error
	if l.Events, err = parseInt(d, events); err != nil {
		return err
	}
	if l.Events == 0 {
		return d.Err("events must be more than 0")
	}
	l.EventsPer, err = parseDuration(d, per)
	return err
}
