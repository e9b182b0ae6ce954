// Package caddymodule is all that knows Caddy: the app "webhooks" with its
// configuration and life cycle, its stores, and the handler with the HTTP API.
package caddymodule
