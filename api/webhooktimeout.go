package api

import (
	"time"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

// timeoutText is a webhook's timeout as answers have it: nil for the configuration's.
func timeoutText(timeout time.Duration) *string {
	if timeout == 0 {
		return nil
	}
	text := durationText(timeout)
	return &text
}

// timeoutOf reads a timeout that is there, and notes what is wrong with it.
func timeoutOf(in *optional[string], errs *fieldErrors) time.Duration {
	if !in.Set || in.Null {
		return 0
	}
	timeout, err := parseDuration(in.Value)
	switch {
	case err != nil:
		errs.check("timeout", err)
	case timeout < delivery.MinWebhookTimeout || timeout > delivery.MaxWebhookTimeout:
		errs.add("timeout", "This must be "+durationText(delivery.MinWebhookTimeout)+" to "+durationText(delivery.MaxWebhookTimeout)+".")
	}
	return timeout
}
