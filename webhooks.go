// Package webhooks is a Caddy module that sends webhooks: an application emits
// events, and the module delivers each to every endpoint that wants its type,
// signed, tried again on a schedule, and kept in a log.
//
// This package only loads the module, which is in caddymodule, so that
// "xcaddy build --with github.com/caddy-webhooks/caddy-webhooks=." and
// "xcaddy run" work in a checkout. The engine is in delivery.
package webhooks

import (
	// The app, the handler and the stores register themselves with Caddy.
	_ "github.com/caddy-webhooks/caddy-webhooks/caddymodule"
)
